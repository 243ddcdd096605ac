"""`xit serve`: a page to play and think on."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exit.cli import console
from exit.cli.options import AgentPath, capacity_option, debug_option, manual

if TYPE_CHECKING:
    from exit.agent import Agent
    from exit.solve import Exact
    from exit.web import Desk

# Enough for games that are solved while one plays the first moves.
_MAX_TABLE_BYTES = 256 << 20


@click.command(
    epilog=manual(
        "xit serve runs/tic_tac_toe connect_four --port 8000",
        reads="the AGENTs, their runs' metrics.jsonl, what bench and frontier keep there, and exact values "
        "where a solver serves the game",
        writes="nothing but the address to stdout",
    )
)
@click.argument("sources", metavar="[AGENT]...", nargs=-1, type=AgentPath())
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to serve on; 0 takes any free one.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to serve on. Another than loopback lets others in your network search on this machine.",
)
@capacity_option
@click.option(
    "--searches",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="Searches that take turns; others wait in line.",
)
@debug_option
def serve(
    sources: tuple[Path, ...], port: int, host: str, max_simulations: int | None, searches: int
) -> None:
    """Serve a page to play on, with reflex, search and exact values beside each move.

    AGENT is a run directory, a file that `xit export` wrote, or the name of an agent that comes with xit; by
    default all that come with it. Only these are served.
    """
    from exit.catalog import trained_names
    from exit.cli.loading import load_agent
    from exit.web import Limits, Server, bind, desks_of, in_background, warm_up

    with bind(host, port) as where:
        with console.Progress("starting") as progress:
            names = sources or tuple(map(Path, trained_names()))
            desks = desks_of([load_agent(source, (), max_simulations) for source in names])
            progress.update(f"compiling {desks[0].name}")
            warm_up(desks[0])
        server = Server(desks, where, Limits(searches=searches))
        getting_ready = in_background(lambda: _get_ready(desks))
        shown = f"[{host}]" if ":" in host else host
        console.say(f"http://{shown}:{where.getsockname()[1]}/ (stop with Ctrl-C)")
        with contextlib.suppress(KeyboardInterrupt):
            server.run()
        console.say("stopped")
        if getting_ready.is_alive():
            # A process that is taken apart under a thread of XLA's crashes, and compiling is not interrupted.
            console.leave()


def _get_ready(desks: "list[Desk]") -> None:
    """Exact values of the first, programs of the others, their exact values, what later questions need."""
    from exit.web import find_exact, warm_up, warm_up_rest

    first, *others = desks
    find_exact(first, _exact)
    for desk in others:
        warm_up(desk)
    for desk in others:
        find_exact(desk, _exact)
    for desk in desks:
        warm_up_rest(desk)


def _exact(agent: "Agent") -> "Exact":
    from functools import partial

    from exit.solve import exact_of, load_or_solve

    table_fn = partial(load_or_solve, max_bytes=_MAX_TABLE_BYTES, warn_fn=console.warn)
    return exact_of(agent.game, table_fn=table_fn, warn_fn=console.warn)
