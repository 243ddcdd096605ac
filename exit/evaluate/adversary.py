"""An agent against the opponent that is worst for it: exploitability, and a certificate of perfect play."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from exit.evaluate.decisions import Decisions
from exit.evaluate.figures import mistakes, play, regrets
from exit.evaluate.walk import PolicyFn, Walk, best_reply, line_to, walk
from exit.game import Game
from exit.solve import Exact, ExactMoves
from exit.solve.coding import initial_key
from exit.solve.keys import unpack

_SEATS = ("first", "second")


class Faced(NamedTuple):
    """What came up from one seat.

    Attributes:
      walk: all positions.
      rows: of the walk's positions, those in which the agent is to move.
      moves: exact values there.
    """

    seat: str
    walk: Walk
    rows: np.ndarray
    moves: ExactMoves


def face(
    exact: Exact,
    policy_fn: PolicyFn,
    *,
    max_positions: int,
    progress_fn: Callable[[int], None] | None = None,
) -> list[Faced] | None:
    """All that an agent can meet, from each seat that the game has; None beyond `max_positions` in one."""
    faced: list[Faced] = []
    for index, seat in enumerate(_SEATS):
        if index and not faced[0].walk.has_opponent:
            break
        found = walk(
            exact.game,
            policy_fn,
            moves_first=not index,
            max_positions=max_positions,
            progress_fn=progress_fn,
        )
        if found is None:
            return None
        rows = np.flatnonzero(found.mine)
        faced.append(Faced(seat, found, rows, exact.moves_fn(found.keys[rows])))
    return faced


def adversarial_figures(exact: Exact, faced: list[Faced] | None) -> dict[str, Any]:
    """Exploitability, certificate and play in the positions that the agent itself can reach.

    Returns:
      `exploitability`: exact value lost to a best response, in reward units, the mean over seats (half of
      what OpenSpiel calls NashConv); in a game without opponent, what the policy's own exact return falls
      short of the best one. `certificate`: for each seat, how many positions came up, how many mistakes the
      agent made in them, and the shortest line to its first one. `reached`: rates over the distinct
      positions of all seats in which the agent was to move, `by_ply` too. All None if there were too many.
    """
    if faced is None:
        return {"exploitability": None, "certified": None, "certificate": None, "reached": None}
    value = float(exact.moves_fn(unpack(initial_key(exact.game))).values[0])
    # Seen by the player to move first, who is the opponent where the agent has the second seat.
    lost = [abs(value - best_reply(each.walk)) for each in faced]
    certificate = [_certificate(exact.game, each) for each in faced]
    return {
        "exploitability": sum(lost) / len(lost),
        "certified": all(seat["mistakes"] == 0 for seat in certificate),
        "certificate": [seat | {"value_lost": loss} for seat, loss in zip(certificate, lost, strict=True)],
        "reached": _reached(faced),
    }


def _certificate(game: Game, faced: Faced) -> dict[str, Any]:
    decisions = _played(faced)
    wrong = mistakes(decisions, faced.moves)
    found = {
        "seat": faced.seat,
        "positions": len(faced.rows),
        "mistakes": int(wrong.sum()),
        "line": None,
        "action": None,
        "regret": None,
        "best_actions": None,
    }
    if not wrong.any():
        return found
    # Positions stand in the order of plies.
    first = int(np.flatnonzero(wrong)[0])
    return found | {
        "line": line_to(faced.walk, int(faced.rows[first])),
        "action": int(decisions.action[first]),
        "regret": float(regrets(decisions, faced.moves)[first]),
        "best_actions": np.flatnonzero(faced.moves.optimal[first]).tolist(),
    }


def _played(faced: Faced) -> Decisions:
    """The agent's moves; of the rest of its decisions nothing is known here."""
    unknown = np.zeros(len(faced.rows))
    return Decisions(faced.walk.played[faced.rows], unknown, unknown, unknown.astype(int), 0.0)


def _reached(faced: list[Faced]) -> dict[str, Any]:
    keys = np.concatenate([each.walk.keys[each.rows] for each in faced])
    ply = np.concatenate([each.walk.ply[each.rows] for each in faced])
    moves = ExactMoves(*map(np.concatenate, zip(*(each.moves for each in faced), strict=True)))
    parts = [_played(each)[:-1] for each in faced]
    decisions = Decisions(*map(np.concatenate, zip(*parts, strict=True)), seconds=0.0)
    # A position may come up from both seats.
    _, distinct = np.unique(keys, axis=0, return_index=True)
    decisions, moves, ply = decisions.of(distinct), moves.of(distinct), ply[distinct]
    return play(decisions, moves, exhaustive=True) | {
        "by_ply": by_ply(decisions, moves, ply, exhaustive=True)
    }


def by_ply(
    decisions: Decisions, moves: ExactMoves, ply: np.ndarray, *, exhaustive: bool
) -> list[dict[str, Any]]:
    """`play` of the states of each ply."""
    return [
        {"ply": int(each)} | play(decisions.of(ply == each), moves.of(ply == each), exhaustive=exhaustive)
        for each in np.unique(ply)
    ]
