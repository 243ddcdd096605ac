"""Where every move leads, once for all programs, so that each is measured in milliseconds."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from exit.errors import UserError
from exit.game import Game
from exit.solve.coding import chunk_rows, initial_key
from exit.solve.expand import successors
from exit.solve.keys import pack, positions
from exit.solve.space import Space
from exit.solve.threads import map_rows

_MAX_TRANSITIONS = 50_000_000
_MAX_SWEEPS = 10_000
_TOLERANCE = 1e-12


class Reach(NamedTuple):
    """Transitions among n unfinished states.

    Attributes:
      root: row of the initial state.
      child: row of the next state; -1 where there is none, the game is over or the outcome cannot happen.
      prob: of the outcome.
      discount: as in `Step`; 0 where there is no next state.
    """

    root: int
    child: Int[np.ndarray, "n A C"]
    prob: Float[np.ndarray, "n A C"]
    discount: Float[np.ndarray, "n A C"]

    @property
    def has_opponent(self) -> bool:
        """Whether the turn ever passes to another player."""
        return bool((self.discount < 0).any())


def reach_of(game: Game, keys: UInt32[np.ndarray, "n K"]) -> Reach:
    """Transitions among all unfinished reachable states, in the order of their keys.

    Raises:
      UserError: there are too many.
    """
    if len(keys) * game.num_actions * game.num_outcomes > _MAX_TRANSITIONS:
        raise UserError(
            f"{game.name} has more than {_MAX_TRANSITIONS:,} transitions, too many to fit a tree to; "
            "choose a smaller game"
        )
    packed = pack(np.asarray(keys, np.uint32))
    order = np.argsort(packed)
    known, chunk = packed[order], chunk_rows(game, len(keys))

    def some(rows: slice) -> tuple[np.ndarray, ...]:
        moves = successors(Space(game), packed[rows], chunk)
        goes_on = (moves.probs > 0) & (moves.discounts != 0)
        child = np.full(goes_on.shape, -1, np.int64)
        child[goes_on] = order[positions(known, moves.keys[goes_on])]
        columns = child, np.where(goes_on, moves.probs, 0.0), np.where(goes_on, moves.discounts, 0.0)
        return tuple(np.moveaxis(column, -1, 0) for column in columns)

    child, prob, discount = map(np.concatenate, zip(*map_rows(some, len(keys), chunk), strict=True))
    root = int(order[positions(known, initial_key(game))[0]])
    return Reach(root, child, prob, discount)


def visits(reach: Reach, action: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """How often a player alone comes to each state in one game, later moves discounted.

    The value that a policy loses is its regrets weighted so (S. Kakade and J. Langford, 2002, lemma 6.1).
    """
    rows = np.arange(len(action))
    child = reach.child[rows, action]
    weight = reach.prob[rows, action] * np.abs(reach.discount[rows, action])
    target = np.maximum(child, 0)
    total, here = np.zeros(len(action)), np.zeros(len(action))
    here[reach.root] = 1.0
    for _ in range(_MAX_SWEEPS):
        total += here
        here = np.bincount(target.ravel(), (here[:, None] * weight).ravel(), len(action))
        if here.sum() < _TOLERANCE:
            break
    return total


def met(reach: Reach, action: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """States in which the policy can come to be asked, from either seat, whatever its opponent does."""
    return _met_from(reach, action, moves_first=True) | _met_from(reach, action, moves_first=False)


def _met_from(reach: Reach, action: Int[np.ndarray, " n"], *, moves_first: bool) -> Bool[np.ndarray, " n"]:
    # Row 0: the opponent is to move, row 1: the policy.
    seen = np.zeros((2, len(action)), bool)
    seen[int(moves_first), reach.root] = True
    new = seen.copy()
    while new.any():
        after = np.zeros_like(seen)
        ours, theirs = map(np.flatnonzero, (new[1], new[0]))
        parts = (
            (1, reach.child[ours, action[ours]], reach.discount[ours, action[ours]]),
            (0, reach.child[theirs], reach.discount[theirs]),
        )
        for mover, child, discount in parts:
            after[1 - mover, child[discount < 0]] = True
            after[mover, child[discount > 0]] = True
        new = after & ~seen
        seen |= new
    return seen[1]
