"""`xit frontier`: what each budget buys, and what it costs."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exit.cli import console
from exit.cli.fleet import FleetOptions, fleet_options
from exit.cli.options import (
    AgentPath,
    NonNegativeList,
    PicturePath,
    debug_option,
    json_option,
    manual,
)
from exit.errors import UsageError

if TYPE_CHECKING:
    from exit.agent import Agent

_BUDGETS = (0, *(1 << k for k in range(11)))
_COLUMNS = (
    "budget",
    "mean regret",
    "95% interval",
    "mistakes",
    "simulations",
    "MFLOP",
    "ms in batches",
    "ms alone",
    "95th",
)

budgets_option = click.option(
    "--budgets",
    type=NonNegativeList(),
    default=_BUDGETS,
    metavar="N,N,...",
    help="Simulations a move. Default: 0 and 1, 2, 4, ... to 1024.",
)
states_option = click.option(
    "--max-positions",
    type=click.IntRange(min=2),
    metavar="N",
    help="Critical positions to measure on; a sample if there are more. Default: 4096.",
)


@click.command(
    epilog=manual(
        "xit frontier runs/connect_four_4x4 --budgets 0,4,16,64",
        "xit frontier runs/connect_four_4x4 --snapshots",
        "xit frontier runs/connect_four_4x4 --snapshots --elo 64",
        reads="the AGENTs, with --snapshots those of their runs too, and exact values of their game",
        writes="frontier.json and frontier.png in the run directory (below runs/ for an agent that is a "
        "file), in place of those of an earlier call; the picture to --out, the figures to --json as well",
    )
)
@click.argument("sources", metavar="AGENT...", nargs=-1, required=True, type=AgentPath())
@budgets_option
@states_option
@click.option(
    "--calls",
    type=click.IntRange(min=0),
    metavar="N",
    help="Single calls to time at each budget; 0 times none. Default: 24.",
)
@click.option(
    "--elo",
    "elo_openings",
    type=click.IntRange(min=1),
    metavar="N",
    help="Openings from which the AGENTs at their budgets play each other, for Elo ratings. Default: none.",
)
@click.option(
    "--snapshots", is_flag=True, help="Measure every snapshot of the runs, besides their newest agent."
)
@click.option(
    "--out",
    type=PicturePath(),
    metavar="FILE",
    help="Where the picture goes, a .png, .svg or .pdf. Default: frontier.png in the run directory.",
)
@fleet_options
@json_option
@debug_option
def frontier(
    sources: tuple[Path, ...],
    budgets: tuple[int, ...],
    max_positions: int | None,
    calls: int | None,
    elo_openings: int | None,
    snapshots: bool,
    out: Path | None,
    fleet: FleetOptions,
    json_path: Path | None,
) -> None:
    """Measure what each budget buys the AGENTs, in exact regret, and what it costs.

    Agents of several runs, or the snapshots of one (`xit train CONFIG --set snapshots=true`), show what
    training is worth in thinking.
    """
    fleet.check()
    from exit.cli.exact import load_exact
    from exit.frontier import MAX_STATES, NUM_CALLS
    from exit.frontier import frontier as measure
    from exit.plots import plot_frontier
    from exit.ratings import require_opponent

    acts_of = fleet.acting(sources)
    agents = [agent for source in sources for agent in agents_of(source, max(budgets), snapshots)]
    if elo_openings:
        require_opponent(agents[0].game)
    console.prepare_json(json_path)
    exact = load_exact(agents[0].game)
    with console.Progress("measuring") as progress:
        figures = measure(
            agents,
            exact,
            budgets,
            max_states=max_positions or MAX_STATES,
            num_calls=NUM_CALLS if calls is None else calls,
            elo_openings=elo_openings or 0,
            acts_of=acts_of,
            progress_fn=report_to(progress),
        )
    figures["provenance"]["command"] = console.command_line()
    positions = figures["positions"]
    for row in figures["agents"]:
        console.show_table(
            f"{figures['game']}, {row['run']} after {console.counted(row['iteration'], 'iteration')}: "
            f"{console.counted(positions['count'], 'position')} ({positions['kind']})",
            (*_COLUMNS, *(["Elo"] if elo_openings else [])),
            [_cells(each) for each in row["budgets"]],
        )
    if capacity := max(agent.search.max_simulations for agent in agents):
        console.say(
            f"ms in batches: of searches with room for {console.counted(capacity, 'simulation')}, which "
            "takes time to lay out even where few are spent"
        )
    if elo := figures["elo"]:
        console.say(
            f"Elo from {console.counted(elo['games'], 'game')} in all, from "
            f"{console.counted(elo['openings'], 'opening')}"
            f"{'' if elo['openings'] == elo_openings else ', since there are no more'}"
        )
    _show_exchange("by the logit of regret", figures["exchange"])
    if elo:
        _show_exchange("by Elo", figures["exchange_elo"])
    if len(agents) > 1 and figures["exchange"] is None:
        console.say(f"by the logit of regret, {_why_no_slope(figures['agents'])}")
    folder = console.folder_of(agents[0].source)
    console.keep_figures(folder, "frontier", figures, json_path)
    console.show_picture(lambda: plot_frontier(figures, out or folder / "frontier.png"))


def agents_of(source: Path, most: int, snapshots: bool) -> "Iterator[Agent]":
    """The agent of a source, after those of all its snapshots if asked, with room for the greatest budget."""
    from exit.agent import Agent
    from exit.portable import snapshot_iterations

    agent = Agent.load(source, warn_fn=console.warn)
    capacity = max(most, agent.search.max_simulations)
    kept = snapshot_iterations(source) if snapshots else []
    if snapshots and not kept:
        raise UsageError(
            f"{source} keeps no snapshots; train with --set snapshots=true, or leave --snapshots out"
        )
    for step in (*(step for step in kept if step < agent.step), None):
        yield Agent.load(source, step=step, max_simulations=capacity, warn_fn=console.warn)


def report_to(progress: console.Progress) -> Callable[[str, int, int], None]:
    """What shows a measurement's progress when told what is done, how many and of how many."""

    def report(what: str, done: int, total: int) -> None:
        # Of one part of several: how much of the whole it is, nobody knows.
        progress.update(f"{what}: {done:,} of {total:,}")

    return report


def _cells(row: dict[str, Any]) -> list[str]:
    latency = row.get("latency_ms")
    return [
        str(row["budget"]),
        f"{row['mean_regret']:.5f}",
        _interval(row),
        console.percent(row["mistake_rate"]),
        f"{row['mean_simulations']:.1f}",
        f"{row['flops'] / 1e6:.4g}",
        f"{row['ms_per_state']:.3g}",
        *(["-", "-"] if latency is None else [f"{latency['median']:.3g}", f"{latency['p95']:.3g}"]),
        *([_elo(row["elo"], row["ci95"]["elo"])] if "elo" in row else []),
    ]


def _interval(row: dict[str, Any]) -> str:
    interval = row["ci95"]["mean_regret"]
    if interval is None:
        return "exact"
    # A sample in which nothing was given away does not vary, however small it is.
    most = interval[1] if row["mean_regret"] else row["promised_regret"]
    return f"{interval[0]:.5f} to {most:.5f}"


def _elo(rating: float, interval: list[float] | None) -> str:
    """A rating and its interval, whole numbers, never -0."""
    found, *between = (f"{round(each):d}" for each in (rating, *(interval or ())))
    return f"{found} ({' to '.join(between)})" if between else found


def _show_exchange(strength: str, fit: dict[str, Any] | None) -> None:
    if fit is None:
        return
    interval = fit["slope_ci95"]
    between = "" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})"
    console.say(
        f"at equal strength {strength}, ten times the compute of training divides that of a move by "
        f"{10 ** -fit['slope']:.2g}: slope {fit['slope']:.2f}{between}, R2 {fit['r2']:.2f}, "
        f"{fit['points']} points{_saturated(fit)}"
    )


def _saturated(fit: dict[str, Any]) -> str:
    left_out = fit["saturated"]
    return f" ({left_out} without regret left out)" if left_out else ""


def _why_no_slope(agents: Sequence[dict[str, Any]]) -> str:
    """What is missing for a fit of training against thinking."""
    known = sum(agent["training"] is not None for agent in agents)
    if known < 2:
        return (
            f"no slope is fitted: the cost of training is known of {known} of {len(agents)} agents; give "
            "run directories, or --snapshots"
        )
    from exit.evaluate.exchange import FEWEST_POINTS

    searched = [row for agent in agents for row in agent["budgets"] if row["budget"]]
    perfect = sum(row["mean_regret"] == 0 for row in searched)
    return (
        f"no slope is fitted: it takes {FEWEST_POINTS} or more points above budget 0 with regret left, of "
        f"several agents and budgets; of {len(searched)} points {perfect} have none left: give more or "
        "smaller --budgets, or earlier agents (--snapshots)"
    )
