"""Exact solver: states per second and memory, from a cold start, against known counts and values.

python benchmarks/solver_speed.py [--json FILE] [--quick]

Every game is solved in a process of its own, so that seconds include importing and compiling and peak
memory is that game's alone. Beside some stands OpenSpiel's `MinimaxSolver`, which keeps values in a Python
dictionary and its rules in C++; what it solves are the same states. (OpenSpiel's value iteration needs a
package that it does not install.) Takes about three minutes, half of them OpenSpiel's; --quick leaves out
the largest games. --large adds 5x5 Connect Four: 70 million states, minutes, several GB.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple


class Expected(NamedTuple):
    """A game and what is known about it.

    Attributes:
      states: distinct states that can be reached, finished ones included.
      value: of the initial state.
      openspiel: OpenSpiel's name for the game; None where it is not solved there.
    """

    module: str
    sizes: tuple[int, ...]
    states: int
    value: float
    openspiel: str | None = None


_SMALL = (
    Expected("tic_tac_toe", (), 5_478, 0.0, "tic_tac_toe"),
    Expected("nim", (3, 4, 5), 120, 1.0),
    Expected("hex", (3,), 5_514, 1.0, "hex(board_size=3)"),
    Expected("othello", (4,), 58_533, -1.0),
    Expected("connect_four", (4, 4), 161_029, 0.0, "connect_four(rows=4,columns=4)"),
)
_FULL = (
    *_SMALL,
    Expected("connect_four", (4, 5), 3_945_711, 0.0, "connect_four(rows=4,columns=5)"),
    Expected("hex", (4,), 9_386_235, 1.0),
)
_LARGE = (*_FULL, Expected("connect_four", (5, 5), 69_763_700, 0.0))

_SOLVE = """
import importlib, json, sys
from exit.solve import solve, summary
game = importlib.import_module("games." + sys.argv[1]).make(*map(int, sys.argv[2:]))
print(json.dumps(summary(solve(game))))
"""

_SOLVE_BY_OPENSPIEL = """
import json, sys, time
import pyspiel
from open_spiel.python.algorithms.minimax_solver import MinimaxSolver
from exit.memory import peak_megabytes
started = time.perf_counter()
table = MinimaxSolver(sys.argv[1]).solve()
value = float(table[str(pyspiel.load_game(sys.argv[1]).new_initial_state())].value) + 0.0
seconds = time.perf_counter() - started
print(json.dumps({"value": value, "seconds": seconds, "peak_mb": peak_megabytes()}))
"""


def measure(expected: Expected) -> dict[str, Any]:
    """Summary of one solution, with the seconds of the whole process."""
    row = _timed(_SOLVE, expected.module, *map(str, expected.sizes))
    return _checked(expected, {"program": "xit", **row})


def measure_openspiel(expected: Expected, game: str, name: str) -> dict[str, Any]:
    """The same of OpenSpiel; finished states count as its work, though its table does not hold them."""
    row = _timed(_SOLVE_BY_OPENSPIEL, name)
    return _checked(expected, {"program": "openspiel", "game": game, "states": expected.states, **row})


def _timed(script: str, *arguments: str) -> dict[str, Any]:
    """What a script reports as JSON, and the seconds of its process."""
    started = time.perf_counter()
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout) | {"process_seconds": time.perf_counter() - started}


def _checked(expected: Expected, row: dict[str, Any]) -> dict[str, Any]:
    """The row with its speed; ends the program where a figure is not the known one."""
    if (row["states"], row["value"]) != (expected.states, expected.value):
        raise SystemExit(
            f"{row['game']}: {row['states']:,} states of value {row['value']}, "
            f"expected {expected.states:,} and {expected.value}"
        )
    return row | {"states_per_second": row["states"] / row["process_seconds"]}


def _print(row: dict[str, Any]) -> None:
    print(
        f"{row['program']:<10}{row['game']:<18}{row['states']:>12,}{row['value']:>7.0f}{row['seconds']:>9.2f}"
        f"{row['process_seconds']:>11.2f}{row['states_per_second']:>12,.0f}{row['peak_mb']:>9,.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="end within a minute on any machine")
    parser.add_argument("--large", action="store_true", help="also solve 5x5 Connect Four")
    options = parser.parse_args()
    rows = []
    header = f"{'program':<10}{'game':<18}{'states':>12}{'value':>7}{'solve s':>9}{'process s':>11}"
    print(f"{header}{'states/s':>12}{'peak MB':>9}")
    for expected in _SMALL if options.quick else _LARGE if options.large else _FULL:
        rows.append(measure(expected))
        _print(rows[-1])
        if expected.openspiel is not None:
            rows.append(measure_openspiel(expected, rows[-1]["game"], expected.openspiel))
            _print(rows[-1])
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
