"""Rules held against those of Pgx and OpenSpiel: legal moves, turns, rewards and ends of random games.

python benchmarks/rules_parity.py [--json FILE] [--quick]

Plays random games by our rules until there are 200,000 moves, replays them by the other program's, and
counts the moves in which anything differs; fails if one does. Takes some minutes; --quick plays 64 games.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from measuring.parity.games import Differences
from measuring.parity.pairs import PAIRS, Pair, compare

_KINDS = ("legal", "player", "rewards", "over")
_MIN_MOVES = 200_000
_GAMES = 1024
_QUICK_GAMES = 64


def measure(pair: Pair, *, quick: bool) -> dict[str, Any]:
    """What differs in enough random games."""
    started = time.perf_counter()
    found = compare(pair, _QUICK_GAMES if quick else _GAMES, 0)
    while not quick and found.moves < _MIN_MOVES:
        more = compare(pair, _GAMES, found.games)
        found = Differences(*map(sum, zip(found, more, strict=True)))
    return {
        "program": pair.program,
        "game": pair.game.name,
        **found._asdict(),
        "seconds": time.perf_counter() - started,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="end within a minute")
    options = parser.parse_args()
    print(
        f"{'program':<10} {'game':<20}{'moves':>9}{'games':>8}{'seconds':>9}   differ in {', '.join(_KINDS)}"
    )
    rows = []
    for pair in PAIRS:
        row = measure(pair, quick=options.quick)
        rows.append(row)
        figures = f"{row['moves']:>9,}{row['games']:>8,}{row['seconds']:>9.1f}"
        found = ", ".join(str(row[kind]) for kind in _KINDS)
        print(f"{row['program']:<10} {row['game']:<20}{figures}   {found}", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    if any(row[kind] for row in rows for kind in _KINDS):
        sys.exit("the rules differ")


if __name__ == "__main__":
    main()
