"""How the cost of an exact solution grows with the game, in memory and through the disk.

python benchmarks/solver_growth.py [--json FILE] [--quick] [--predict STATES]

Solves Connect Four on boards of growing size with `xit solve`, once with all the memory there is and once
with 500 MB, most of which the program itself needs, so that layers go through the disk. A power law through
the latter then says what a game of STATES states takes; by default that of 5 rows x 6 columns, about three
billion. Takes about three minutes; --quick leaves out the largest board.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

_ROOT = Path(__file__).resolve().parent.parent
_GAMES = ("connect_four_4x4", "connect_four_4x5", "connect_four_5x5")
_LITTLE_MEMORY = "500MB"
_STATES_5X6 = 3_000_000_000


def measure(game: str, max_memory: str | None) -> dict[str, Any]:
    """Summary of one solution, and the bytes of its table."""
    with tempfile.TemporaryDirectory() as cache:
        figures = Path(cache) / "figures.json"
        command = [sys.executable, "-m", "exit", "solve", game, "--json", str(figures)]
        command += [] if max_memory is None else ["--max-memory", max_memory]
        environment = os.environ | {"XIT_CACHE_DIR": cache}
        subprocess.run(command, cwd=_ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        row = json.loads(figures.read_text())
        table = sum(path.stat().st_size for path in Path(row["table"]).rglob("*") if path.is_file())
    names = ("game", "states", "rows", "seconds", "peak_mb")
    return {name: row[name] for name in names} | {"memory": max_memory or "all", "table_bytes": table}


def predicted(rows: list[dict[str, Any]], num_states: int) -> dict[str, Any]:
    """What a power law through the two largest games says of another; bytes stay what they are a state."""
    (small, large) = sorted(rows, key=lambda row: row["states"])[-2:]
    exponent = np.log(large["seconds"] / small["seconds"]) / np.log(large["states"] / small["states"])
    # Sorting and looking up cost a little more a state in larger games, never less.
    exponent = max(float(exponent), 1.0)
    ratio = num_states / large["states"]
    return {
        "states": num_states,
        "exponent": exponent,
        "seconds": large["seconds"] * ratio**exponent,
        "table_bytes": large["table_bytes"] * ratio,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="end within a minute on any machine")
    parser.add_argument("--predict", type=int, default=_STATES_5X6, metavar="STATES", help="of another game")
    options = parser.parse_args()
    games = _GAMES[:-1] if options.quick else _GAMES
    rows = []
    print(
        f"{'game':<18}{'memory':>8}{'states':>12}{'seconds':>9}{'us/state':>10}{'B/state':>9}{'peak MB':>9}"
    )
    for memory in (None, _LITTLE_MEMORY):
        for game in games:
            rows.append(row := measure(game, memory))
            print(
                f"{row['game']:<18}{row['memory']:>8}{row['states']:>12,}{row['seconds']:>9.2f}"
                f"{1e6 * row['seconds'] / row['states']:>10.3f}{row['table_bytes'] / row['states']:>9.2f}"
                f"{row['peak_mb']:>9,.0f}",
                flush=True,
            )
    model = predicted([row for row in rows if row["memory"] == _LITTLE_MEMORY], options.predict)
    print(
        f"{model['states']:,} states through the disk: about {model['seconds'] / 60:.0f} minutes "
        f"(states to the power {model['exponent']:.2f}), a table of {model['table_bytes'] / 1e9:.1f} GB"
    )
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "model": model}, indent=1) + "\n")


if __name__ == "__main__":
    main()
