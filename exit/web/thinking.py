"""Thinking as a stream of answers, in chunks short enough to be watched and stopped."""

import threading
import time
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from exit.acting import AUTO_PRICE
from exit.errors import UserError
from exit.search import SearchResult, Thought, move_bounds, worth_of_thinking
from exit.web.desk import Desk
from exit.web.position import Position
from exit.web.queue import Line

CHUNK_SECONDS = 0.05
"""What a chunk of simulations should take: twenty answers a second."""

_FIRST_CHUNK = 8
_TOLD_EVERY = 0.25


class Limit(NamedTuple):
    """When to stop thinking; where several are given, at the first.

    Attributes:
      total: simulations that the position is to have in all.
      more: simulations on top of what it has.
      seconds: of thinking, waiting in line not counted.
      auto: as soon as one more simulation is worth no more than its price, from the reflex on, so that one
        sees how long that is; at the agent's capacity at the latest, as everywhere.
    """

    total: int | None = None
    more: int | None = None
    seconds: float | None = None
    auto: bool = False


class Lines(NamedTuple):
    """Who waits for whom.

    Attributes:
      searches: those at work, who take turns.
      turn: the one that computes: programs that several devices run in step must not meet.
      closing: set once the server stops; thinking then ends.
    """

    searches: Line
    turn: Line
    closing: threading.Event


def answers(
    desk: Desk, position: Position, limit: Limit, lines: Lines, max_simulations: int
) -> Generator[dict[str, Any], None, None]:
    """What is known of the moves, again and again while it is thought about, the last marked `done`.

    While others are served first, `{"ahead": n}` instead, and once, `{"preparing": True}` before a program is
    compiled. What goes wrong is told as `{"error": ...}`.
    Closing the iterator stops the thinking; what was found so far is kept.
    """
    try:
        ticket = lines.searches.enter()
    except UserError as error:
        yield {"error": str(error)}
        return
    try:
        while ahead := lines.searches.ahead(ticket, _TOLD_EVERY):
            yield {"ahead": ahead}
            if lines.closing.is_set():
                return
        for event in _thinking(desk, position, limit, lines.turn, max_simulations):
            yield event
            if lines.closing.is_set():
                return
    except UserError as error:
        yield {"error": str(error)}
    finally:
        lines.searches.leave(ticket)


def _thinking(
    desk: Desk, position: Position, limit: Limit, turn: Line, max_simulations: int
) -> Iterator[dict[str, Any]]:
    if not desk.is_warm:
        yield {"preparing": True}
    with turn.place():
        thought = desk.thought(position, 0 if limit.auto else limit.total)
    begun, chunk = time.monotonic(), _FIRST_CHUNK
    had = spent = int(thought.result.num_simulations)
    target = min(max_simulations, desk.agent.search.max_simulations) if limit.auto else max_simulations
    if limit.total is not None:
        target = min(target, limit.total)
    if limit.more is not None:
        target = min(target, had + limit.more)
    while not _is_done(desk, thought, limit, spent >= target, time.monotonic() - begun):
        yield {"answer": answer_of(desk, position, thought)}
        started = time.monotonic()
        with turn.place():
            turned = time.monotonic()
            thought = desk.more(thought, min(chunk, target - spent))
            took = time.monotonic() - turned
        desk.keep(position, thought)
        found = int(thought.result.num_simulations)
        if found == spent:
            break
        spent = found
        begun += turned - started
        chunk = max(1, min(2 * chunk, int(chunk * CHUNK_SECONDS / took)))
    yield {"answer": answer_of(desk, position, thought), "done": True}


def _is_done(desk: Desk, thought: Thought, limit: Limit, spent: bool, seconds: float) -> bool:
    result = thought.result
    if spent or float(result.lower) == float(result.upper):
        return True
    if limit.seconds is not None and seconds >= limit.seconds:
        return True
    return limit.auto and _worth(desk, result) <= AUTO_PRICE


def _worth(desk: Desk, result: SearchResult) -> float:
    return float(worth_of_thinking(result, desk.agent.game.value_bounds))


def answer_of(desk: Desk, position: Position, thought: Thought) -> dict[str, Any]:
    """What a thought says of a position and of each legal move, in JSON's types."""
    return result_of(position, jax.device_get(thought.result), move_bounds(thought))


def result_of(
    position: Position,
    result: SearchResult,
    bounds: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """What a search says of a position and of each legal move, in JSON's types.

    Args:
      result: of the one position, without a batch axis, on the host.
      bounds: proven bounds of each action's value, where they are known.
    """
    legal = [int(action) for action in np.flatnonzero(position.legal)]
    return {
        "action": int(result.action),
        "value": _number(result.value),
        "reflex_value": _number(result.prior_value),
        "simulations": int(result.num_simulations),
        "lower": _number(result.lower),
        "upper": _number(result.upper),
        "proven": float(result.lower) == float(result.upper),
        "moves": [
            {
                "action": action,
                "prior": _number(result.prior[action]),
                "weight": _number(result.action_weights[action]),
                "qvalue": _number(result.qvalues[action]),
                "visits": int(result.visit_counts[action]),
                "proven": bounds is not None and bool(bounds[0][action] == bounds[1][action]),
            }
            for action in legal
        ],
    }


def _number(number: Any) -> float:
    """A single-precision number without the digits that it does not have."""
    return float(f"{float(number):.7g}")
