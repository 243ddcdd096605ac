"""What a program's moves give away, exactly, over every state that can be reached."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from exit.compile.subject import Subject
from exit.evaluate import adversarial_figures, expected_return, face, measure_play, recalled
from exit.solve import ExactMoves, initial_value, table_of

_ROUNDING = 1e-12


def certify(subject: Subject, action: Int[np.ndarray, " n"]) -> dict[str, Any]:
    """Figures of a program that plays `action` in each of the subject's states.

    An illegal move counts as a mistake, and as the worst legal move where its cost is asked for.

    Returns:
      Over all unfinished reachable states: `states`, `critical`, `mistakes`, `mistake_rate`, `mean_regret`,
      `max_regret` and `illegal`, and `fidelity`, the share in which it does as the agent does. Of play from
      the start: `exploitability` (value lost to a best response, the mean over seats; without opponent what
      the exact return falls short of the best), `certified` (no mistake in any state that the program itself
      can meet), `met` (how many those are), `seats` (each one's first mistake), and without opponent
      `return`, `value` (perfect play's) and `lost_share` (of the value).
    """
    legal = subject.moves.legal[np.arange(len(action)), action]
    played = np.where(legal, action, worst_legal(subject.moves))
    play = measure_play(played, subject.moves)
    policy_fn = recalled(subject.keys, played)
    faced = face(subject.exact, policy_fn, max_positions=2 * len(action) + 2)
    found = adversarial_figures(subject.exact, faced)
    if faced is None or found["reached"] is None:
        raise AssertionError("a program met more states than there are")
    # In a state where all legal moves are equal an illegal one is still no answer.
    met_illegal = any((~_at(subject, each.walk.keys[each.rows], legal)).any() for each in faced)
    figures = {
        "states": len(action),
        "critical": play["critical"],
        "mistakes": int((~(legal & subject.moves.optimal[np.arange(len(action)), action])).sum()),
        "mean_regret": play["mean_regret"],
        "max_regret": play["max_regret"],
        "illegal": int((~legal).sum()),
        "fidelity": float((action == subject.action).mean()),
        "met": found["reached"]["count"],
        "certified": found["certified"] and not met_illegal,
        "exploitability": found["exploitability"],
        "seats": found["certificate"],
        **_return(subject, played, has_opponent=faced[0].walk.has_opponent),
    }
    return figures | {"mistake_rate": figures["mistakes"] / max(1, len(action))}


def worst_legal(moves: ExactMoves) -> Int[np.ndarray, " n"]:
    """The legal move of each state that gives away most."""
    return np.where(moves.legal, moves.regrets, -1.0).argmax(axis=1)


def _at(subject: Subject, keys: np.ndarray, column: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " m"]:
    """What a column of the subject's states says of some of them."""
    return recalled(subject.keys, column.astype(np.int64))(keys).astype(bool)


def _return(
    subject: Subject, played: Int[np.ndarray, " n"], *, has_opponent: bool
) -> dict[str, float | None]:
    """The exact return beside perfect play's; of a player alone."""
    value = initial_value(table_of(subject.exact))
    if has_opponent:
        return {"value": value, "return": None, "lost_share": None}
    earned = expected_return(subject.game, recalled(subject.keys, played)).value
    lost = value - earned
    # What is left by rounding of a perfect program is nothing.
    lost = 0.0 if abs(lost) <= _ROUNDING * abs(value) else lost
    share = lost / abs(value) if value else None
    return {"value": value, "return": earned, "lost_share": share}
