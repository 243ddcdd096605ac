"""`xit play`: a game in the terminal, with what the agent thinks of each move."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from exit.cli import console
from exit.cli.options import BudgetOrAuto, agent_argument, capacity_option, debug_option, manual
from exit.errors import UserError

if TYPE_CHECKING:
    from exit.cli.match import Match

_HELP = "a move by its number, or: hint, budget N|auto, undo, help, quit"
_BUDGET = 64
_SIDES: dict[str, tuple[int, ...]] = {"first": (0,), "second": (1,), "both": (0, 1)}

_Reply = Literal["moved", "asked", "quit"]


@click.command(
    epilog=manual(
        "xit play runs/tic_tac_toe --side second --budget 16",
        "xit play connect_four",
        reads="AGENT, moves from stdin, and exact values where a solver serves the game",
        writes="the board and a table of moves to stdout",
    )
)
@agent_argument
@click.option(
    "--side", type=click.Choice(list(_SIDES)), default="first", show_default=True, help="Whom you play."
)
@click.option(
    "--budget",
    type=BudgetOrAuto(),
    metavar="N|auto",
    help="Simulations a move; auto thinks as long as it seems worth it. Default: 64, or the capacity if that "
    "is less.",
)
@capacity_option
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the chance outcomes."
)
@debug_option
def play(source: Path, side: str, budget: int | str | None, max_simulations: int | None, seed: int) -> None:
    """Play against AGENT, with reflex, search and exact values beside each move.

    AGENT is a run directory, a file that `xit export` wrote, or the name of an agent that comes with xit.
    """
    from exit.cli.loading import load_agent
    from exit.cli.match import open_match

    agent = load_agent(source, (budget,) if isinstance(budget, int) else (), max_simulations)
    if budget is None:
        budget = min(_BUDGET, agent.search.max_simulations)
    match, reason = open_match(agent, budget=budget, seed=seed)
    who = {"first": "you are player 1", "second": "you are player 2", "both": "you play both sides"}[side]
    thinks = "as long as it seems worth it" if budget == "auto" else f"{budget} simulations a move"
    console.say(f"{match.agent.game.name}: {who}, the agent thinks {thinks}; enter {_HELP}")
    console.say(
        "reflex and search: weights of the moves; Q and exact: what they earn, * where nothing earns more; "
        "the agent plays the move that survives its search, which need not have the largest weight"
    )
    if reason is not None:
        console.say(f"no exact values: {reason}")
    while not match.is_over:
        if match.player in _SIDES[side]:
            if not _ask(match, _SIDES[side]):
                return
        else:
            _announce(match, match.advise().action)
    console.say(match.rendered())
    console.say(match.verdict())


def _ask(match: "Match", side: tuple[int, ...]) -> bool:
    """Asks until a move is made or taken back; False if the player is through."""
    _show(match)
    reply: _Reply = "asked"
    while reply == "asked":
        click.echo("> ", nl=False)
        line = sys.stdin.readline()
        words = line.lower().split()
        try:
            # Input that ended is an answer too; an empty line is none.
            reply = _obey(match, side, words) if line else _end_of_input()
        except UserError as error:
            console.say(str(error))
    return reply == "moved"


def _obey(match: "Match", side: tuple[int, ...], words: list[str]) -> _Reply:
    """Does what a line says; raises UserError where that cannot be done."""
    match words:
        case []:
            return "asked"
        case ["quit" | "q" | "exit"]:
            return "quit"
        case ["help" | "?"]:
            console.say(_HELP)
            return "asked"
        case ["hint"]:
            console.say(f"the agent would play {match.named(match.advise().action)}")
            return "asked"
        case ["budget", "auto"]:
            match.set_budget("auto")
            _show(match)
            return "asked"
        case ["budget", number] if number.isascii() and number.isdigit():
            match.set_budget(int(number))
            _show(match)
            return "asked"
        case ["budget", *rest]:
            given = " ".join(rest) or "nothing"
            raise UserError(f"{given!r} is no budget; enter budget and a whole number from 0, or auto")
        case ["undo"]:
            match.undo(side)
            return "moved"
        case [number] if number.isascii() and number.isdigit():
            _announce(match, match.checked(int(number)))
            return "moved"
        case _:
            raise UserError(f"{' '.join(words)!r} is no move; enter {_HELP}")


def _end_of_input() -> _Reply:
    # Whatever follows on the terminal is to start on a line of its own.
    console.say()
    return "quit"


def _announce(match: "Match", action: int) -> None:
    player, outcome = match.player, match.play(action)
    chance = "" if outcome is None else f", outcome {outcome}"
    console.say(f"player {player + 1} plays {match.named(action)}{chance}")


def _show(match: "Match") -> None:
    """The position, and a line about each legal move."""
    console.say(match.rendered())
    advice = match.advise()
    columns = ["move", "reflex", "search", "Q", "visits"]
    formats: list[Callable[[int], str]] = [
        match.named,
        lambda action: console.percent(advice.prior[action]),
        lambda action: console.percent(advice.weights[action]),
        lambda action: f"{advice.qvalues[action]:+.3f}",
        lambda action: str(advice.visits[action]),
    ]
    if advice.exact is not None:
        exact = advice.exact
        best = max(exact.values())
        columns.append("exact")
        formats.append(lambda action: f"{exact[action]:+.6g}{' *' if exact[action] >= best - 1e-9 else '  '}")
    rows = [[text(action) for text in formats] for action in sorted(advice.prior)]
    spent = f" ({console.counted(advice.simulations, 'simulation')})" if match.budget == "auto" else ""
    value = f"player {match.player + 1} to move, value {advice.value:+.3f} at budget {match.budget}{spent}"
    console.show_table(value, columns, rows)
