"""`xit match`: a run's agent against a bot from elsewhere, at equal cost."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exit.cli import console
from exit.cli.options import agent_argument, capacity_option, debug_option, json_option, manual
from exit.errors import UsageError, UserError

if TYPE_CHECKING:
    from exit.agent import Agent

_COLUMNS = ("the agent moves", "games", "wins", "draws", "losses", "score")


@click.command(
    epilog=manual(
        "xit match runs/connect_four --budget 64 --games 40 --json match.json",
        "xit match connect_four --against random --budget 0 --games 10",
        reads="AGENT",
        writes="scores to stdout, figures to --json",
    )
)
@agent_argument
@click.option(
    "--against",
    type=click.Choice(["mcts", "random"]),
    default="mcts",
    show_default=True,
    help="OpenSpiel's tree search with random playouts, or random moves.",
)
@click.option(
    "--budget",
    type=click.IntRange(min=0),
    metavar="N",
    help="Simulations a move, of the agent and of mcts. Default: as many as --deadline-ms allows.",
)
@click.option(
    "--deadline-ms",
    type=click.FloatRange(min=0, min_open=True),
    metavar="T",
    help="Milliseconds a move, of the agent and of mcts; with a budget, whichever ends first. "
    "Default: no limit.",
)
@click.option(
    "--games",
    "num_games",
    type=click.IntRange(min=2),
    default=100,
    show_default=True,
    metavar="N",
    help="Games to play; from each opening one in either seat.",
)
@click.option(
    "--opening-plies",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    metavar="N",
    help="Random moves before each game.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of all that is drawn."
)
@capacity_option
@json_option
@debug_option
def match(
    source: Path,
    against: str,
    budget: int | None,
    deadline_ms: float | None,
    num_games: int,
    opening_plies: int,
    seed: int,
    max_simulations: int | None,
    json_path: Path | None,
) -> None:
    """Play AGENT against a bot of OpenSpiel, both with the same simulations or time.

    AGENT is a run directory, a file that `xit export` wrote, or the name of an agent that comes with xit.
    """
    if budget is None and deadline_ms is None:
        raise UsageError("give --budget N, --deadline-ms T or both, for example --budget 64")
    if num_games % 2:
        raise UsageError(f"--games is {num_games}; give an even number, for two games from each opening")
    from exit.bench import hardware
    from exit.cli.loading import load_agent

    _require_openspiel()
    if budget == 0 and against == "mcts":
        raise UsageError(
            "--budget 0 leaves mcts nothing to search with; give at least 1, or --against random"
        )
    agent = load_agent(source, () if budget is None else (budget,), max_simulations)
    console.prepare_json(json_path)
    limits = {"budget": budget, "deadline_ms": deadline_ms}
    figures = {
        "game": agent.game.name,
        "run": str(agent.source),
        "against": against,
        **limits,
        "opening_plies": opening_plies,
        "seed": seed,
        "hardware": hardware(),
        "command": console.command_line(),
        **_played(agent, against, limits, num_games // 2, opening_plies, seed),
    }
    _show(figures)
    console.write_json(json_path, figures)


def _require_openspiel() -> None:
    try:
        importlib.import_module("exit.openspiel")
    except ImportError as error:
        raise UserError(
            f"matches need OpenSpiel, which cannot be imported ({error}); "
            "install the extra openspiel: pip install 'xit[openspiel]'"
        ) from error


def _played(
    agent: "Agent", against: str, limits: dict[str, Any], num_openings: int, opening_plies: int, seed: int
) -> dict[str, Any]:
    """The figures of the games."""
    from exit.openspiel import (
        AgentBot,
        match_figures,
        mcts_opponent,
        play_match,
        random_opponent,
        translation_of,
    )

    spiel_game = translation_of(agent.game).spiel_game
    opponent = (
        random_opponent(seed) if against == "random" else mcts_opponent(spiel_game, **limits, seed=seed)
    )
    with console.Progress(f"agent against {against}") as progress:

        def report(done: int, total: int, score: float) -> None:
            progress.update(f"{done:,} of {total:,} games, score {score:.3f}", done / total)

        games, sides = play_match(
            AgentBot(agent, **limits),
            opponent,
            spiel_game,
            num_openings=num_openings,
            opening_plies=opening_plies,
            seed=seed,
            progress_fn=report,
        )
    return match_figures(games) | sides


def _show(figures: dict[str, Any]) -> None:
    rows = {"first": figures["first"], "second": figures["second"], "all games": figures}
    console.show_table(
        f"{figures['game']}: the agent against {figures['against']}",
        _COLUMNS,
        [
            [
                name,
                *(str(row[column]) for column in ("games", "wins", "draws", "losses")),
                f"{row['score']:.3f}",
            ]
            for name, row in rows.items()
        ],
    )
    interval = figures["ci95"]["score"]
    if interval is not None:
        console.say(f"score {figures['score']:.3f}, 95% interval {interval[0]:.3f} to {interval[1]:.3f}")
    for name in ("agent", "opponent"):
        side = figures[name]
        console.say(
            f"{name}: {side['ms_per_move']:.3g} ms and {side['mean_simulations']:.1f} simulations a move"
        )
