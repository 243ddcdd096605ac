"""The exchange rate of training for thinking, game by game: what budget stands for how much training.

python benchmarks/frontier.py [--json FILE] [--quick] [--runs DIR] [--seeds N] [GAME ...]

Trains each game with networks of two widths, in small iterations, keeping the agent after 1, 2, 4, ... 1024
of them, and measures each of those at budgets 0 and 1, 4, 16, ... 1024 in exact regret: three decades of
training by up to three of thinking, fewer where proofs end it. The slope says by how many decades the compute
of a move changes at equal strength when that of training rises by one: strength in exact regret, and in Elo
from games among the agents, and by regret also for the first and the second half of training alone, since a
law would have the same slope in both. A plane is fitted for each seed; the table has their mean and spread.
Runs and frontiers are kept in DIR; finished ones are not made again, and all games come before the next seed.
Takes an hour for a seed; --quick fits tic-tac-toe alone, with less of everything.
"""

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring.commands import train_in_small_iterations, xit
from measuring.quickly import compile_quickly

from exit.evaluate import Strength, exchange_rate, regret_strength

_ROOT = Path(__file__).resolve().parent.parent
_GAMES = ("tic_tac_toe", "nim_3_4_5", "connect_four_4x4", "hex_3", "othello_4", "bandit_2_20")
# Nobody to play against, so no rating.
_ALONE = ("bandit_2_20",)
_WIDTHS = (32, 128)
_ITERATIONS = 1024
_BUDGETS = (0, 1, 4, 16, 64, 256, 1024)
_MAX_POSITIONS = 2000
_OPENINGS = 16


def measure(game: str, width: int, seed: int, runs: Path, *, quick: bool) -> dict[str, Any]:
    """Train, or take what is there, and fit the exchange rate over the snapshots of one seed."""
    run_dir = (runs / f"{game}-{width}-{seed}").absolute()
    figures = run_dir.with_suffix(".json")
    if not figures.exists():
        iterations = 16 if quick else _ITERATIONS
        settings = {"network.width": width, "snapshots": True, "seed": seed}
        train_in_small_iterations(game, run_dir, iterations, settings)
        budgets = ",".join(map(str, _BUDGETS[:4] if quick else _BUDGETS))
        sample = ["--max-positions", str(_MAX_POSITIONS), "--calls", "0"]
        if game not in _ALONE:
            sample += ["--elo", str(_OPENINGS)]
        files = ["--out", str(figures.with_suffix(".png")), "--json", str(figures)]
        xit("frontier", str(run_dir), "--snapshots", "--budgets", budgets, *sample, *files)
    found = json.loads(figures.read_text())
    train = [agent["training"]["flops"] for agent in found["agents"]]
    test = [row["flops"] for agent in found["agents"] for row in agent["budgets"]]
    reflex = [agent["budgets"][0]["mean_regret"] for agent in found["agents"]]
    return {
        "game": game,
        "width": width,
        "seed": seed,
        "exchange": found["exchange"],
        "exchange_elo": found["exchange_elo"],
        "exchange_halves": _halves(found),
        "train_flops": [min(train), max(train)],
        "test_flops": [min(test), max(test)],
        "reflex_regret": [max(reflex), min(reflex)],
        "positions": found["positions"],
        "hardware": found["hardware"],
        "commit": found["provenance"]["commit"],
    }


def _halves(found: dict[str, Any]) -> list[dict[str, Any] | None]:
    """The exchange rate by regret over the agents of the first and of the second half of training alone."""
    agents = found["agents"]
    table = [[row["mean_regret"] for row in agent["budgets"]] for agent in agents]
    train = np.array([agent["training"]["flops"] for agent in agents])
    test = np.array([[row["flops"] for row in agent["budgets"]] for agent in agents])
    searched = np.array([[row["budget"] > 0 for row in agent["budgets"]] for agent in agents])
    strength = regret_strength(
        np.array(table)[..., None], found["greatest_regret"], np.ones((1, 1), np.int32)
    )
    middle = len(agents) // 2
    return [
        exchange_rate(train[half], test[half], Strength(*(each[half] for each in strength)), searched[half])
        for half in (slice(middle), slice(middle, None))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("games", nargs="*", metavar="GAME", help=f"default: {', '.join(_GAMES)}")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="tic-tac-toe alone, one width")
    parser.add_argument(
        "--runs", type=Path, default=_ROOT / "runs" / "benchmarks" / "frontier", help="folder"
    )
    parser.add_argument("--seeds", type=int, default=3, help="runs of each setting (default: 3)")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; give at least 1")
    quick = options.quick
    games, widths, seeds = (_GAMES[:1], _WIDTHS[:1], 1) if quick else (_GAMES, _WIDTHS, options.seeds)
    if quick:
        compile_quickly()
    runs = options.runs / "quick" if quick else options.runs
    runs.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(seeds):
        for game in options.games or games:
            rows += [measure(game, width, seed, runs, quick=quick) for width in widths]
            if options.json:
                options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    print(
        f"{'game':<18}{'width':>6}{'seeds':>6}{'decades of training':>21}{'of a move':>11}{'points':>8}"
        f"{'perfect':>9}{'slope':>8}  {'seeds':<17}{'R2':>5}{'by Elo':>8}  {'seeds':<17}{'R2':>5}"
        f"{'in halves':>15}"
    )
    for key in dict.fromkeys((row["game"], row["width"]) for row in rows):
        print(_line([row for row in rows if (row["game"], row["width"]) == key]))


def _line(rows: Sequence[dict[str, Any]]) -> str:
    """A line of the table, of all seeds; without a slope where too few points show any regret."""
    row = rows[0]
    decades = [f"{_decades(*row[name]):.1f}" for name in ("train_flops", "test_flops")]
    begin = f"{row['game']:<18}{row['width']:>6}{len(rows):>6}{decades[0]:>21}{decades[1]:>11}"
    fits = [row["exchange"] for row in rows if row["exchange"]]
    if not fits:
        return f"{begin}  too few points with regret"
    points, perfect = (sum(fit[name] for fit in fits) for name in ("points", "saturated"))
    by_elo = [row["exchange_elo"] for row in rows if row["exchange_elo"]]
    halves = [[half["slope"] for row in rows if (half := row["exchange_halves"][i])] for i in range(2)]
    shown = ", ".join(f"{statistics.mean(slopes):.2f}" if slopes else "-" for slopes in halves)
    return f"{begin}{points:>8}{perfect:>9}{_slope(fits)}{_slope(by_elo) or ' ' * 32}{shown:>15}"


def _slope(fits: Sequence[dict[str, Any]]) -> str:
    if not fits:
        return ""
    slopes = [fit["slope"] for fit in fits]
    spread = f"{min(slopes):.2f} to {max(slopes):.2f}"
    return f"{statistics.mean(slopes):>8.2f}  {spread:<17}{statistics.mean(fit['r2'] for fit in fits):>5.2f}"


def _decades(low: float, high: float) -> float:
    return math.log10(high / low)


if __name__ == "__main__":
    main()
