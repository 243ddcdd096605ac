"""Programs that are kept: used again, compiled again where they are damaged, and bounded in size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exit import caches

_SCRIPT = """
import jax
from exit import caches

caches._MIN_SECONDS = 0.0
caches.keep_compiled_programs()
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
print(float(jax.jit(lambda x: x * 2 + 1)(20.5)))
print(sum(event.endswith("cache_hits") for event in events))
"""


# XLA refuses programs of its own making on processors for which it prefers to avoid some instructions.
_REFUSED = "cpu_aot_loader"


def _run(folder: Path) -> tuple[str, int, bool]:
    """What a new process computes, how many programs it took from the disk, and whether XLA refused some."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env=environment | {"XIT_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stderr.splitlines()
    assert all(_REFUSED in line for line in lines), done.stderr
    value, hits = done.stdout.split()
    return value, int(hits), bool(lines)


def test_a_program_is_compiled_once_and_again_when_damaged(tmp_path: Path) -> None:
    assert _run(tmp_path)[:2] == ("42.0", 0)
    value, hits, refused = _run(tmp_path)
    assert value == "42.0"
    assert hits > 0 or refused
    (folder,) = (tmp_path / "compiled").iterdir()
    for entry in folder.iterdir():
        entry.write_bytes(entry.read_bytes()[:-20])
    assert _run(tmp_path)[0] == "42.0"


def test_where_nothing_can_be_kept_programs_still_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert _run(tmp_path / "file")[:2] == ("42.0", 0)


def test_the_oldest_programs_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(5):
        (tmp_path / str(index)).write_bytes(bytes(10))
        os.utime(tmp_path / str(index), (1000 - index, 1000 - index))
    monkeypatch.setattr(caches, "_MAX_BYTES", 25)
    caches._drop_oldest(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]
