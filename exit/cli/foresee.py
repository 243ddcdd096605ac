"""`xit foresee`: an agent learns what its own searches would find."""

from pathlib import Path
from typing import Any

import click

from exit.cli import console
from exit.cli.options import agent_argument, debug_option, json_option, manual
from exit.errors import UserError


@click.command(
    epilog=manual(
        "xit foresee runs/connect_four_4x4 --states 4096",
        reads="AGENT, and exact values of its game",
        writes="agent.foresight, foresee.json and foresee.png in the run directory "
        "(beside the file, and below runs/, for an agent that is a file)",
    )
)
@agent_argument
@click.option(
    "--states",
    "num_states",
    type=click.IntRange(min=64),
    metavar="N",
    help="States that are searched to learn from. Default: 8192.",
)
@click.option(
    "--max-positions",
    type=click.IntRange(min=64),
    metavar="N",
    help="Positions to hold it against exact values on. Default: 4096.",
)
@json_option
@debug_option
def foresee(source: Path, num_states: int | None, max_positions: int | None, json_path: Path | None) -> None:
    """Teach AGENT to foresee what searching a position would gain, from its own searches alone.

    Afterwards it says, before it searches, how far its value is likely to be off and what a search of 16, 64
    and 256 simulations is likely to gain. Where the game has exact values, that is held against them.
    """
    from exit.agent import Agent
    from exit.cli.exact import load_exact
    from exit.foresight import BUDGETS, NUM_STATES, foresight_path, lesson_positions, save_foresight, teach
    from exit.foresight_report import MAX_STATES, foresight_report
    from exit.plots import plot_foresight

    agent = Agent.load(source, warn_fn=console.warn, max_simulations=BUDGETS[-1])
    console.prepare_json(json_path)
    with console.Progress("learning to foresee") as progress:
        progress.update("playing")
        keys = lesson_positions(agent.params, config=agent.config, num_states=num_states or NUM_STATES)
        foresight = teach(agent.params, keys, config=agent.config, progress_fn=progress.update)
    path = foresight_path(agent.source)
    save_foresight(path, foresight, agent.params)
    console.say(f"foresight: {path}")
    try:
        exact = load_exact(agent.game)
    except UserError as error:
        console.warn(f"not held against exact values: {error}")
        return
    with console.Progress("measuring") as progress:
        figures = foresight_report(
            agent,
            exact,
            foresight,
            max_states=max_positions or MAX_STATES,
            progress_fn=progress.update,
        )
    figures["provenance"]["command"] = console.command_line()
    _show(figures)
    folder = console.folder_of(agent.source)
    console.keep_figures(folder, "foresee", figures, json_path)
    console.show_picture(lambda: plot_foresight(figures, folder / "foresee.png"))


def _show(figures: dict[str, Any]) -> None:
    names = {"value_error": "error of the value"}
    names |= {f"gain_{budget}": f"gain of {budget} simulations" for budget in figures["budgets"]}
    for kind, rows in figures["calibration"].items():
        positions = figures["positions"][kind]
        console.show_table(
            f"{figures['game']}: {console.counted(positions['count'], 'position')} "
            f"({positions['kind']}), means, shares of the distance between the value bounds",
            ("", "foreseen", "found", "calibration error", "95% interval"),
            [
                [
                    name,
                    *(f"{_mean(rows[key]['bins'], column):.4f}" for column in ("predicted", "found")),
                    f"{rows[key]['error']:.4f}",
                    "{:.4f} to {:.4f}".format(*rows[key]["ci95"]["error"]),
                ]
                for key, name in names.items()
            ],
        )
        found = figures["detection"][kind]
        if found is not None:
            console.say(
                f"the foreseen gain of {figures['budgets'][-1]} simulations tells the reflex's mistakes from "
                f"its good moves in critical positions: AUC {found['auc']:.3f}"
            )


def _mean(bins: list[dict[str, Any]], column: str) -> float:
    return sum(row["count"] * row[column] for row in bins) / sum(row["count"] for row in bins)
