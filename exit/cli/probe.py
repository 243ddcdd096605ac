"""`xit probe`: what a network that sees raw histories keeps of them."""

from pathlib import Path
from typing import Any

import click

from exit.cli import console
from exit.cli.options import agent_argument, debug_option, json_option, manual

_SHOWN = {"others": "other histories", "longer": "longer ones", "beyond": "longer than its game's"}


@click.command(
    epilog=manual(
        "xit probe runs/bandit_history_2_20 --longer bandit_history_2_30 --json probe.json",
        reads="AGENT, and exact values of its game",
        writes="geometry.png and, where beliefs are two counts, boundary.png in the run directory; "
        "figures to --json",
    )
)
@agent_argument
@click.option(
    "--longer",
    metavar="GAME",
    help="A game with the same events and more of them, in which the agent is measured as it is. "
    "Default: none.",
)
@click.option(
    "--histories",
    "num_histories",
    type=click.IntRange(min=256),
    metavar="N",
    help="Histories to play, of which distinct ones are probed. Default: 8192.",
)
@json_option
@debug_option
def probe(source: Path, longer: str | None, num_histories: int | None, json_path: Path | None) -> None:
    """Read what AGENT's network keeps of the raw histories that it sees, beside an untrained network.

    Linear probes for the beliefs, the counts and the exact value; what becomes of its play when the same
    events come in another order; and how it fares on histories longer than any it was trained on.
    """
    from exit.agent import Agent
    from exit.catalog import load_game
    from exit.cli.exact import load_exact
    from exit.plots import plot_boundary, plot_geometry
    from exit.probe import NUM_HISTORIES, playing_at, require_statistic
    from exit.probe import probe as measure

    agent = Agent.load(source, warn_fn=console.warn)
    require_statistic(agent.game)
    other = None if longer is None else load_game(longer)
    if other is not None:
        playing_at(agent, other)
    console.prepare_json(json_path)
    exact = load_exact(agent.game)
    beyond = None if other is None else load_exact(other)
    with console.Progress("probing") as progress:
        found = measure(
            agent,
            exact,
            longer=beyond,
            num_histories=num_histories or NUM_HISTORIES,
            progress_fn=lambda what: progress.update(what, None),
        )
    figures = found.figures
    figures["provenance"]["command"] = console.command_line()
    _show(figures)
    console.write_json(json_path, figures)
    folder = console.folder_of(agent.source)
    console.show_picture(lambda: plot_geometry(found.geometry, folder / "geometry.png"))
    boundary = found.boundary
    if boundary is not None:
        console.show_picture(lambda: plot_boundary(boundary, folder / "boundary.png"), name="boundary")


def _show(figures: dict[str, Any]) -> None:
    for scored_on, histories in figures["histories"].items():
        if scored_on not in _SHOWN:
            continue
        low, high = histories["lengths"]
        console.show_table(
            f"{figures['game']}: read off linearly from {_SHOWN[scored_on]} "
            f"({histories['count']:,} of {low} to {high} events)",
            ("layer", "what", "R²", "95% interval", "untrained network"),
            [
                [
                    row["layer"],
                    row["kind"],
                    f"{row['r2']:.4f}",
                    "{:.4f} to {:.4f}".format(*row["ci95"]),
                    f"{row['control']['r2']:.4f}",
                ]
                for row in figures["layers"]
                if row["scored_on"] == scored_on
            ],
        )
    _show_behaviour(figures["order"], figures["swap"])
    for row in figures["play"]:
        closed = "-" if row["gap_closed"] is None else console.percent(row["gap_closed"])
        low, high = row["ci95"]["expected_return"]
        console.say(
            f"reflex in {row['game']}: {row['expected_return']:.6f} ({low:.6f} to {high:.6f}) of "
            f"{row['optimal']:.6f}; {closed} of the gap from {row['yardstick']['name']}"
        )


def _show_behaviour(order: dict[str, Any], swap: dict[str, Any] | None) -> None:
    """What another order of the same events changes."""
    if order["pairs"]:
        console.say(
            f"the same events in another order, {order['pairs']:,} pairs: total variation of the policies "
            f"{order['mean_tv']:.5f}, 95 in 100 at most {order['p95_tv']:.5f}; the same action in "
            f"{console.percent(order['same_action'])}; with other statistics {order['unlike_mean_tv']:.5f}"
        )
    if swap is not None and swap["pairs"]:
        console.say(
            f"memories exchanged between such histories: {console.percent(swap['unchanged'])} of "
            f"{swap['actions']:,} actions unchanged"
        )
