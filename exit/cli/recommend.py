"""`xit recommend`: how much of thinking to buy."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from exit.cli import console
from exit.cli.frontier import agents_of, budgets_option, report_to, states_option
from exit.cli.options import agent_argument, debug_option, json_option, manual
from exit.errors import UserError

_SHARE_IN_TIME = 0.95
"""Of calls, that are to keep to a deadline."""


@click.command(
    epilog=manual(
        "xit recommend runs/connect_four_4x4 --max-regret 0.01",
        "xit recommend connect_four --deadline-ms 20",
        reads="AGENT, and exact values of its game",
        writes="the budget to stdout, figures to --json",
    )
)
@agent_argument
@click.option(
    "--max-regret", type=float, metavar="R", help="Mean regret allowed, in reward units. Default: any."
)
@click.option(
    "--deadline-ms",
    type=float,
    metavar="T",
    help="Milliseconds allowed for one call, at its 95th percentile. Default: any.",
)
@click.option(
    "--max-mean-simulations",
    type=float,
    metavar="N",
    help="Mean simulations a position allowed. Default: any.",
)
@budgets_option
@states_option
@json_option
@debug_option
def recommend(
    source: Path,
    max_regret: float | None,
    deadline_ms: float | None,
    max_mean_simulations: float | None,
    budgets: tuple[int, ...],
    max_positions: int | None,
    json_path: Path | None,
) -> None:
    """Say how much AGENT should think on this machine, under limits on regret, time or simulations.

    Fixed budgets are tried, and `auto` at four prices of a simulation. With --max-regret it is the rule with
    the fewest simulations of which that can be promised for positions nobody measured; without, the one
    that gives away least within the other limits. It takes minutes where the network is large.
    """
    from exit.cli.exact import load_exact
    from exit.frontier import MAX_STATES
    from exit.recommend import Limits
    from exit.recommend import recommend as choose

    with _as_options():
        limits = Limits(max_regret, deadline_ms, max_mean_simulations)
    (agent,) = agents_of(source, max(budgets), snapshots=False)
    console.prepare_json(json_path)
    exact = load_exact(agent.game)
    with _as_options(), console.Progress("measuring") as progress:
        figures = choose(
            agent,
            exact,
            budgets,
            limits,
            max_states=max_positions or MAX_STATES,
            progress_fn=report_to(progress),
        )
    figures["provenance"]["command"] = console.command_line()
    _show_recommendation(figures)
    console.say(f"to use it: {_command(source, figures, agent.config.search.max_simulations)}")
    console.write_json(json_path, figures)


def _show_recommendation(figures: dict[str, Any]) -> None:
    latency, check = figures["latency_ms"], figures["check"]
    most = console.counted(figures["budget"], "simulation")
    auto = f"budget auto at a price of {figures['price']}, at most {most}" if figures["price"] else None
    console.say(auto or f"budget {figures['budget']}")
    console.say(_regret(figures))
    console.say(
        f"{figures['mean_simulations']:.1f} simulations a position; {latency['median']:.3g} ms a call "
        f"(95th percentile {latency['p95']:.3g}) on this machine"
    )
    if figures["in_time"] is not None:
        console.say(_in_time(figures["in_time"]))
    if check and check["promised"]:
        console.say(
            f"chosen on one half of the positions, it held on the other in {check['held']} of "
            f"{check['promised']} random halves{_unpromised(check)}"
        )


def _command(source: Path, figures: dict[str, Any], capacity: int) -> str:
    """What to type to have positions answered by the rule."""
    words = ["xit", "act", str(source), "--budget", str(figures["budget"])]
    if figures["price"] is not None:
        words += ["--price", str(figures["price"])]
    if figures["budget"] > capacity:
        words += ["--max-simulations", str(figures["budget"])]
    return shlex.join(words)


def _in_time(share: float) -> str:
    """How many of new calls kept to the deadline, and what to do if they were fewer than it asks for."""
    from exit.frontier import NUM_CALLS

    said = f"{console.percent(share)} of {NUM_CALLS} new calls were in time"
    if share >= _SHARE_IN_TIME:
        return said
    return f"{said}, fewer than {console.percent(_SHARE_IN_TIME)}: give a shorter --deadline-ms to be sure"


def _regret(figures: dict[str, Any]) -> str:
    """The mean regret, and what is known of it in positions that were not measured, where there are any."""
    mean, positions = figures["mean_regret"], figures["positions"]
    count = console.counted(positions["count"], "position")
    if figures["check"] is None:
        return f"mean regret {mean:.5f} over all {count} in which a move is a mistake"
    low, high = figures["ci95"]["mean_regret"]
    return (
        f"mean regret {mean:.5f} ({low:.5f} to {high:.5f}) over {count} ({positions['kind']}); "
        f"at most {figures['promised_regret']:.5f} over as many others"
    )


def _unpromised(check: dict[str, int]) -> str:
    rest = check["splits"] - check["promised"]
    return f" ({rest} more were too small to promise anything)" if rest else ""


@contextlib.contextmanager
def _as_options() -> Iterator[None]:
    """Errors name options in place of arguments."""
    try:
        yield
    except UserError as error:
        message = str(error).replace("max_states", "--max-positions")
        for name in ("max_regret", "deadline_ms", "max_mean_simulations"):
            message = message.replace(name, "--" + name.replace("_", "-"))
        raise type(error)(message) from error
