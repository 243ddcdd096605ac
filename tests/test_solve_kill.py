"""Processes that are killed while they solve a game through the disk."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from exit.solve import load_or_solve, load_table, solve
from games.connect_four import ConnectFour

SIZES = (4, 4, 3)

# Many small files, so that a kill is likely to come while one is written; slow enough to be killed often.
SOLVE = """
import sys, time
from pathlib import Path
from exit.solve import coding, merge, solve
from games.connect_four import ConnectFour
coding._CHUNK_SUCCESSORS, coding._SMALL_CHUNK_SUCCESSORS, coding._MANY_CHUNKS = 1 << 12, 1 << 10, 2
merge._MIN_RANGE_BYTES = 1 << 13
game = ConnectFour(*map(int, sys.argv[2:]))
solve(game, max_bytes=20_000, directory=Path(sys.argv[1]), progress_fn=lambda *report: time.sleep(0.02))
"""


def _process(directory: Path, compiled: Path) -> subprocess.Popen[bytes]:
    """A solution; programs compiled by one process serve the next."""
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", SOLVE, str(directory), *map(str, SIZES)],
        cwd=Path(__file__).parent.parent,
        env=environment,
        stderr=subprocess.PIPE,
    )


def _digest_of_journal(directory: Path) -> bytes:
    try:
        return (directory / "unfinished" / "journal.json").read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
def test_killed_processes_are_continued_to_the_same_table(tmp_path: Path) -> None:
    """Killed again and again, a random moment after each bit of progress, until one comes to the end."""
    directory, compiled = tmp_path / "table", tmp_path / "compiled"
    delay = np.random.default_rng()
    num_killed = 0
    while not (directory / "meta.json").exists():
        process = _process(directory, compiled)
        before = _digest_of_journal(directory)
        while process.poll() is None and _digest_of_journal(directory) == before:
            time.sleep(0.002)
        time.sleep(delay.uniform(0, 0.3))
        if process.poll() is None and num_killed < 20:
            process.send_signal(signal.SIGKILL)
            num_killed += 1
        _, errors = process.communicate(timeout=300)
        assert process.returncode in (0, -signal.SIGKILL), errors.decode()
    assert num_killed >= 3
    game = ConnectFour(*SIZES)
    found, expected = load_table(game, directory), solve(game)
    for name in ("keys", "values", "optimal"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.figures[:3] == expected.figures[:3]
    # A process may have been killed after it had stored the table, but before it had removed the layers.
    load_or_solve(game, directory=directory, on_disk=True)
    assert sorted(path.name.split(".")[0] for path in directory.iterdir()) == [
        "keys",
        "meta",
        "optimal",
        "values",
    ]
