"""Look-ups in an exact table: values and optimal moves of many states at once, and values of all their moves.

python benchmarks/solver_lookups.py [--json FILE] [--quick]

The keys are drawn from all unfinished states of 4x5 Connect Four, in random order, 2^20 in a batch; the first
batch, which compiles, is not counted. Takes half a minute; --quick asks 4x4 Connect Four.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from exit.catalog import load_game
from exit.solve import exact_moves_of_keys, optimal_moves, solve, unfinished_keys

_BATCH = 1 << 20
_TURNS = 5


def measure(name: str) -> list[dict[str, Any]]:
    """States a second of both look-ups, turn by turn."""
    table = solve(load_game(name))
    keys = unfinished_keys(table)
    rng = np.random.default_rng(0)
    rates: dict[str, list[float]] = {"values and optimal moves": [], "values of all moves": []}
    for turn in range(_TURNS + 1):
        asked = keys[rng.integers(0, len(keys), _BATCH)]
        for what, look_up in zip(rates, (optimal_moves, exact_moves_of_keys), strict=True):
            started = time.perf_counter()
            look_up(table, asked)
            if turn:
                rates[what].append(_BATCH / (time.perf_counter() - started))
    return [{"game": name, "what": what, "states_per_second": found} for what, found in rates.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="end within a minute on any machine")
    options = parser.parse_args()
    rows = measure("connect_four_4x4" if options.quick else "connect_four_4x5")
    for row in rows:
        rates = row["states_per_second"]
        middle, least, most = statistics.median(rates), min(rates), max(rates)
        print(f"{row['game']}  {row['what']}: {middle:,.0f} states/s ({least:,.0f} to {most:,.0f})")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
