"""Settings of every test: shapes are checked while tests run, and generated cases repeat exactly."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests.checking import check_once

# What one test has compiled, no other test and no process that a test starts compiles again.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
# Else every operation of a program says who called whom, a tenth of the time that making programs takes.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

_CHECKED = ("exit", "games")

# The hook rewrites modules as they are imported; one imported earlier would stay unchecked, unnoticed.
assert not any(name in sys.modules for name in _CHECKED), "imported before the shape checks were installed"
check_once()
install_import_hook(_CHECKED, "tests.checking.checked")

# Tracing makes so many objects that looking for cycles among them takes a tenth of the time if left as it is.
gc.set_threshold(50_000, 20, 100)

# Compilation makes the first example slow, so a deadline would fail at random.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, then those with many: no worker ends alone with a long one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in slow, -tests[item.path], item.path))


@pytest.fixture(autouse=True, scope="module")
def _programs_are_let_go() -> Iterator[None]:
    """Lets go of a file's compiled programs at its end.

    Each holds tens of memory mappings, a process may have 65,530 in Linux's default, and XLA crashes at the
    next one: one worker runs many files.
    """
    yield
    import jax  # an import at the top would come before the shape checks

    jax.clear_caches()
    gc.collect()
