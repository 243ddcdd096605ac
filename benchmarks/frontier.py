"""The exchange rate of training for thinking, game by game: what budget stands for how much training.

python benchmarks/frontier.py [--json FILE] [--quick] [--runs DIR] [--seeds N] [GAME ...]

Trains each game with networks of two widths, keeping the agent after 1, 2, 4, ... iterations, and measures
each of those at budgets 0 and 1, 2, 4, ... 256 in exact regret. The slope says by how many decades the
compute of a move changes at equal strength when that of training rises by one: strength in exact regret, and
in Elo from games among the agents. Runs and frontiers are kept in DIR; finished ones are not made again.
Takes an hour or more; --quick fits tic-tac-toe alone.
"""

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_ITERATIONS = {
    "tic_tac_toe": 128,
    "nim_3_4_5": 64,
    "connect_four_4x4": 256,
    "hex_3": 128,
    "othello_4": 128,
}
_WIDTHS = (32, 128)
_BUDGETS = (0, *(1 << k for k in range(9)))
_MAX_POSITIONS = 2000
_OPENINGS = 32


def measure(game: str, width: int, seeds: int, runs: Path) -> dict[str, Any]:
    """Train, or take what is there, and fit the exchange rate over the snapshots of all seeds."""
    run_dirs = []
    for seed in range(seeds):
        run_dir = (runs / f"{game}-{width}-{seed}").absolute()
        iterations = _ITERATIONS[game]
        settings = {
            "network.width": width,
            "num_iterations": iterations,
            "report_every": iterations,
            "checkpoint_every": iterations,
            "snapshots": True,
            "seed": seed,
        }
        assignments = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        _run("train", game, "--run-dir", str(run_dir), *assignments)
        run_dirs.append(str(run_dir))
    figures = runs.absolute() / f"{game}-{width}.json"
    if not figures.exists():
        budgets = ",".join(map(str, _BUDGETS))
        sample = [
            "--max-positions",
            str(_MAX_POSITIONS),
            "--calls",
            "0",
            "--elo",
            str(_OPENINGS),
            "--out",
            str(figures.with_suffix(".png")),
        ]
        _run("frontier", *run_dirs, "--snapshots", "--budgets", budgets, *sample, "--json", str(figures))
    found = json.loads(figures.read_text())
    train = [agent["training"]["flops"] for agent in found["agents"]]
    test = [row["flops"] for agent in found["agents"] for row in agent["budgets"]]
    reflex = [agent["budgets"][0]["mean_regret"] for agent in found["agents"]]
    return {
        "game": game,
        "width": width,
        "seeds": seeds,
        "exchange": found["exchange"],
        "exchange_elo": found["exchange_elo"],
        "train_flops": [min(train), max(train)],
        "test_flops": [min(test), max(test)],
        "reflex_regret": [max(reflex), min(reflex)],
        "positions": found["positions"],
        "hardware": found["hardware"],
        "commit": found["provenance"]["commit"],
    }


def _run(*arguments: str) -> None:
    """One `xit` command; its output goes to the terminal."""
    subprocess.run([sys.executable, "-m", "exit", *arguments], cwd=_ROOT, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("games", nargs="*", metavar="GAME", help=f"default: {', '.join(_ITERATIONS)}")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="tic-tac-toe alone, one width")
    parser.add_argument(
        "--runs", type=Path, default=_ROOT / "runs" / "benchmarks" / "frontier", help="folder"
    )
    parser.add_argument("--seeds", type=int, default=1, help="runs of each setting (default: 1)")
    options = parser.parse_args()
    unknown = sorted({*options.games} - {*_ITERATIONS})
    if unknown:
        parser.error(f"{', '.join(unknown)}: there are {', '.join(_ITERATIONS)}")
    games = options.games or ([*_ITERATIONS][:1] if options.quick else [*_ITERATIONS])
    widths = _WIDTHS[:1] if options.quick else _WIDTHS
    options.runs.mkdir(parents=True, exist_ok=True)
    rows = [measure(game, width, options.seeds, options.runs) for game in games for width in widths]
    print(
        f"{'game':<18}{'width':>6}{'seeds':>6}{'decades of training':>21}{'of a move':>11}{'points':>8}"
        f"{'perfect':>9}{'slope':>8}  {'95 %':<17}{'R2':>5}{'by Elo':>8}  {'95 %':<17}{'R2':>5}"
    )
    for row in rows:
        print(_line(row))
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


def _line(row: dict[str, Any]) -> str:
    """A row of the table; without a slope where too few points show any regret."""
    decades = [f"{_decades(*row[name]):.1f}" for name in ("train_flops", "test_flops")]
    begin = f"{row['game']:<18}{row['width']:>6}{row['seeds']:>6}{decades[0]:>21}{decades[1]:>11}"
    fit = row["exchange"]
    if fit is None:
        return f"{begin}  too few points with regret"
    by_elo = row["exchange_elo"]
    return f"{begin}{fit['points']:>8}{fit['saturated']:>9}{_slope(fit)}{_slope(by_elo) if by_elo else ''}"


def _slope(fit: dict[str, Any]) -> str:
    low, high = fit["slope_ci95"]
    return f"{fit['slope']:>8.2f}  {f'{low:.2f} to {high:.2f}':<17}{fit['r2']:>5.2f}"


def _decades(low: float, high: float) -> float:
    return math.log10(high / low)


if __name__ == "__main__":
    main()
