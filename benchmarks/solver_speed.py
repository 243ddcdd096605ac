"""Exact solver: states per second and memory, from a cold start, against known counts and values.

python benchmarks/solver_speed.py [--json FILE] [--quick]

Every game is solved in a process of its own, so that seconds include importing and compiling and peak
memory is that game's alone. Takes about 10 seconds; --quick leaves out the largest game. --large adds
5x5 Connect Four: 70 million states, minutes, several GB.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple


class Expected(NamedTuple):
    """A game and what is known about it."""

    module: str
    sizes: tuple[int, ...]
    states: int
    value: float


_SMALL = (
    Expected("tic_tac_toe", (), 5_478, 0.0),
    Expected("nim", (3, 4, 5), 120, 1.0),
    Expected("connect_four", (4, 4), 161_029, 0.0),
)
_FULL = (*_SMALL, Expected("connect_four", (4, 5), 3_945_711, 0.0))
_LARGE = (*_FULL, Expected("connect_four", (5, 5), 69_763_700, 0.0))

_SOLVE = """
import importlib, json, sys
from exit.solve import solve, summary
game = importlib.import_module("games." + sys.argv[1]).make(*map(int, sys.argv[2:]))
print(json.dumps(summary(solve(game))))
"""


def measure(expected: Expected) -> dict[str, Any]:
    """Summary of one solution, with the seconds of the whole process."""
    started = time.perf_counter()
    command = [sys.executable, "-c", _SOLVE, expected.module, *map(str, expected.sizes)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    row = json.loads(done.stdout) | {"process_seconds": time.perf_counter() - started}
    if (row["states"], row["value"]) != (expected.states, expected.value):
        raise SystemExit(
            f"{row['game']}: {row['states']:,} states of value {row['value']}, "
            f"expected {expected.states:,} and {expected.value}"
        )
    return row | {"states_per_second": row["states"] / row["process_seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="end within a minute on any machine")
    parser.add_argument("--large", action="store_true", help="also solve 5x5 Connect Four")
    options = parser.parse_args()
    rows = []
    print(
        f"{'game':<18}{'states':>12}{'value':>7}{'solve s':>9}{'process s':>11}{'states/s':>12}{'peak MB':>9}"
    )
    for expected in _SMALL if options.quick else _LARGE if options.large else _FULL:
        row = measure(expected)
        rows.append(row)
        print(
            f"{row['game']:<18}{row['states']:>12,}{row['value']:>7.0f}{row['seconds']:>9.2f}"
            f"{row['process_seconds']:>11.2f}{row['states_per_second']:>12,.0f}{row['peak_mb']:>9,.0f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
