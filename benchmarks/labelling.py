"""Exact values of 6x7 Connect Four positions: how long the library takes, and how long once they are on disk.

python benchmarks/labelling.py [--json FILE] [--quick] [--num N]

Unfinished positions after uniformly random play of 0 to 34 moves get the exact value of every legal move, on
all cores: `cold` with nothing on disk, `cached` a second time; then once more in groups by number of moves,
without the disk. CPU seconds are those of all processes, and mean more than the clock where a machine is
shared. Takes about two minutes; --quick labels 1,000 positions instead of 10,000.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from exit.evaluate.sample import random_positions
from exit.solve import exact_of_library, library_version, states_of
from games.connect_four import ConnectFour

_MAX_PLIES = 34
_GROUPS = ((0, 6), (7, 11), (12, 14), (15, 17), (18, 21), (22, 34))
"""Numbers of moves, first and last of each group; the opening book ends at 12 stones."""


def measured(work_fn: Callable[[], Any]) -> dict[str, float]:
    """Seconds of one call by the clock, and of all processors."""
    started, used = time.perf_counter(), _cpu_seconds()
    work_fn()
    return {"seconds": time.perf_counter() - started, "cpu_seconds": _cpu_seconds() - used}


def _cpu_seconds() -> float:
    """Of this process and of those it waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def by_ply(game: ConnectFour, keys: np.ndarray, ply: np.ndarray) -> list[dict[str, Any]]:
    """Time of each group of positions."""
    rows = []
    for first, last in _GROUPS:
        states = states_of(game, keys[(ply >= first) & (ply <= last)])
        count = len(states.mine[0])
        taken = measured(lambda states=states: game.library_qvalues(states))
        rows.append({"name": f"{first}-{last} moves", "positions": count, **taken})
    return rows


def _show(row: dict[str, Any]) -> None:
    rate, each = row["positions"] / row["seconds"], 1000 * row["cpu_seconds"] / row["positions"]
    print(
        f"{row['name']:<14}{row['positions']:>10,}{row['seconds']:>10.2f}{rate:>14,.0f}"
        f"{row['cpu_seconds']:>10.2f}{each:>12.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="end within a minute on any machine")
    options = parser.parse_args()
    game = ConnectFour()
    keys, ply = random_positions(game, 1_000 if options.quick else 10_000, _MAX_PLIES)
    # Decoding compiles once in a process; that is not the library's time.
    states_of(game, keys)
    figures = {
        "library": f"{game.solver_library} {library_version(game)}",
        "cores": len(os.sched_getaffinity(0)),
    }
    print(f"{figures['library']}, {figures['cores']} cores")
    print(f"{'':<14}{'positions':>10}{'seconds':>10}{'positions/s':>14}{'CPU s':>10}{'CPU ms each':>12}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cold", "cached"):
            exact = exact_of_library(game, directory=Path(folder))
            taken = measured(lambda exact=exact: exact.moves_fn(keys))
            rows.append({"name": name, "positions": len(keys), **taken})
            _show(rows[-1])
    for row in by_ply(game, keys, ply):
        rows.append(row)
        _show(row)
    if options.json:
        options.json.write_text(json.dumps({**figures, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
