"""What tells where the reflex is mistaken: incoherence beside measures that cost less or as much.

python benchmarks/detectors.py [--json FILE] [--quick] [--runs DIR] [--seeds N] [GAME ...]

Trains each game from several seeds for a short while, so that reflexes still make mistakes, and runs
`xit coherence` on each agent with the others as the ensemble that it is compared with. The table has the mean
area under the curve over agents, with the lowest and highest: of the free measures (entropy of the prior,
margin between its first two moves, value near 0), of the disagreement of the networks, of the residuals at
each depth (of the value, of the reflex's move, of the policy), of all free measures and residuals together as
learnt from other positions, and of the residuals of a control, a value that is 0 everywhere. One table is of
critical positions of all kinds, one of those in the agents' own games. Runs and reports are kept in DIR;
finished ones are not made again. Takes an hour; --quick takes tic-tac-toe alone.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring.commands import train_in_small_iterations, xit
from measuring.quickly import compile_quickly

_ROOT = Path(__file__).resolve().parent.parent
# Iterations of 512 positions, after which the reflex is wrong in some of a hundred critical positions.
_GAMES = {
    "tic_tac_toe": 16,
    "nim_3_4_5": 32,
    "connect_four_4x4": 192,
    "hex_4": 128,
    "othello_4": 256,
    "bandit_2_20": 64,
}
_WIDTH = 128
_MAX_POSITIONS = 4096
_MEASURES = {
    "entropy": "entropy",
    "margin": "top two, margin",
    "|value|": "value near 0",
    "values apart": "value, disagreement",
    "policies apart": "policy, disagreement",
    **{f"value, {depth}": f"value residual, depth {depth}" for depth in (1, 2, 3)},
    **{f"regret, {depth}": f"reflex regret, depth {depth}" for depth in (1, 2, 3)},
    **{f"policy, {depth}": f"policy residual, depth {depth}" for depth in (1, 2, 3)},
    "learnt": "learnt from these",
    **{f"control, {depth}": f"control, {depth}" for depth in (1, 2, 3)},
}


def measure(game: str, seeds: int, runs: Path, *, quick: bool) -> list[dict[str, Any]]:
    """Train the agents of a game and report on each with the others beside it; or take what is there."""
    iterations = 4 if quick else _GAMES[game]
    run_dirs = [(runs / f"{game}-{seed}").absolute() for seed in range(seeds)]
    for seed, run_dir in enumerate(run_dirs):
        train_in_small_iterations(game, run_dir, iterations, {"network.width": _WIDTH, "seed": seed})
    rows = []
    for seed, run_dir in enumerate(run_dirs):
        # The others are part of what is measured.
        figures = run_dir.with_name(f"{run_dir.name}-of-{seeds}.json")
        if not figures.exists():
            others = [word for each in run_dirs if each != run_dir for word in ("--ensemble", str(each))]
            sample = ["--max-positions", str(256 if quick else _MAX_POSITIONS)]
            xit("coherence", str(run_dir), *others, *sample, "--json", str(figures))
        found = json.loads(figures.read_text())
        control = {
            f"control, {depth['depth']}": {"auc": depth["auc"]}
            for depth in found["control"]["depths"]
            if depth["auc"] is not None
        }
        rows += [
            {
                "game": game,
                "states": states,
                "seed": seed,
                "count": each["count"],
                "mistakes": each["mistakes"],
                "measures": {row["measure"]: row for row in each["measures"]}
                | (control if states == "all" else {}),
                "hardware": found["hardware"],
                "commit": found["provenance"]["commit"],
            }
            for states, each in found["detection"].items()
        ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("games", nargs="*", metavar="GAME", help=f"default: {', '.join(_GAMES)}")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="tic-tac-toe alone, two seeds")
    parser.add_argument(
        "--runs", type=Path, default=_ROOT / "runs" / "benchmarks" / "detectors", help="folder"
    )
    parser.add_argument("--seeds", type=int, default=5, help="agents of each game (default: 5)")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds is {options.seeds}; give at least 2, since networks are compared")
    unknown = [game for game in options.games if game not in _GAMES]
    if unknown:
        parser.error(f"no such game: {', '.join(unknown)}; there are {', '.join(_GAMES)}")
    games, seeds = (["tic_tac_toe"], 2) if options.quick else (options.games or list(_GAMES), options.seeds)
    if options.quick:
        compile_quickly()
    runs = options.runs / "quick" if options.quick else options.runs
    runs.mkdir(parents=True, exist_ok=True)
    rows = []
    for game in games:
        rows += measure(game, seeds, runs, quick=options.quick)
        if options.json:
            options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    for states in dict.fromkeys(row["states"] for row in rows):
        _print([row for row in rows if row["states"] == states])


def _print(rows: Sequence[dict[str, Any]]) -> None:
    """A table with a column for each game: mean, lowest and highest over its agents."""
    games = {game: [row for row in rows if row["game"] == game] for game in _GAMES}
    games = {game: found for game, found in games.items() if found}
    lines = {f"critical, {rows[0]['states']}": [*games], "wrong": []}
    for found in games.values():
        wrong = [100 * row["mistakes"] / row["count"] for row in found]
        lines["wrong"].append(f"{min(wrong):.1f} to {max(wrong):.1f} %")
    for title, name in _MEASURES.items():
        lines[title] = [
            _spread([row["measures"][name]["auc"] for row in found if name in row["measures"]], len(found))
            for found in games.values()
        ]
    print()
    for title, cells in lines.items():
        if any(cell != "-" for cell in cells):
            print(f"{title:<18}" + "".join(f"{cell:<20}" for cell in cells).rstrip())


def _spread(areas: Sequence[float], num_agents: int) -> str:
    """Mean, lowest and highest; with the number of agents where some make too few mistakes for it."""
    if not areas:
        return "-"
    some = "" if len(areas) == num_agents else f", {len(areas)}"
    return f"{statistics.mean(areas):.2f} ({min(areas):.2f} to {max(areas):.2f}{some})"


if __name__ == "__main__":
    main()
