"""Moves among states whose values depend on each other, held in memory, and one step of backing values up."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from exit.solve.coding import chunk_rows
from exit.solve.expand import Successors, successors
from exit.solve.induction import Known
from exit.solve.keys import positions
from exit.solve.memory import MemoryLimit
from exit.solve.space import Space
from exit.solve.threads import map_rows

_OUTCOME_BYTES = 40

Bounds = Float[np.ndarray, "2 n"]
"""What is known of the values of n states to the player to move: at least, and at most."""


class Moves(NamedTuple):
    """Moves of n states that lead into cycles.

    Attributes:
      weight: of the next state's value, chance included: negative where the turn passes; 0 where the value
        of the next state does not matter or is known.
      child: the next state, of the n.
      settled: expected value, to the mover, of all that is known of a move: at least, and at most; -inf
        where it is illegal.
      paid: where a move brings a reward and goes on among the n.
    """

    weight: Float[np.ndarray, "A C n"]
    child: Int[np.ndarray, "A C n"]
    settled: Float[np.ndarray, "2 A n"]
    paid: Bool[np.ndarray, " n"]


def moves_among(space: Space, known: Known, states: Int[np.ndarray, " n"], limit: MemoryLimit) -> Moves:
    """Moves of some of the known states, the values of the others being right.

    Raises:
      TooLarge: they do not fit in memory.
    """
    game = space.game
    num_outcomes = game.num_actions * game.num_outcomes * len(states)
    limit.check(len(known.keys), 0, extra_bytes=num_outcomes * _OUTCOME_BYTES)
    index = np.full(len(known.keys), -1, np.int32 if len(states) < 1 << 31 else np.int64)
    index[states] = np.arange(len(states))

    chunk = chunk_rows(game, len(states))

    def moves(rows: slice) -> Moves:
        return _moves(successors(space, known.keys[states[rows]], chunk), known, index)

    parts = list(map_rows(moves, len(states), chunk))
    return Moves(*(np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)))


def _moves(expanded: Successors, known: Known, index: Int[np.ndarray, " states"]) -> Moves:
    possible = expanded.probs > 0
    goes_on = possible & (expanded.discounts != 0)
    place = np.zeros(possible.shape, np.int64)
    place[goes_on] = positions(known.keys, expanded.keys[goes_on])
    child = index[place]
    among = goes_on & (child >= 0)
    value = np.where(goes_on & ~among, known.values.at(place), 0.0)
    returns = np.where(possible, expanded.rewards + np.where(goes_on, expanded.discounts * value, 0.0), 0.0)
    settled = np.where(expanded.legal, (expanded.probs * returns).sum(axis=1), -np.inf)
    return Moves(
        weight=np.where(among, expanded.probs * np.where(among, expanded.discounts, 0.0), 0.0),
        child=np.where(among, child, 0),
        settled=np.stack([settled, settled]),
        paid=(among & (expanded.rewards != 0)).any(axis=(0, 1)),
    )


def restricted(moves: Moves, bounds: Bounds, kept: Int[np.ndarray, " m"]) -> Moves:
    """Moves of some of the states, what is known of the others being settled."""
    index = np.full(bounds.shape[1], -1, moves.child.dtype)
    index[kept] = np.arange(len(kept))
    weight, child = moves.weight[..., kept], moves.child[..., kept]
    among = (index[child] >= 0) & (weight != 0)
    low, high = bounds[:, child]
    least = np.where(among, 0.0, np.where(weight > 0, weight * low, weight * high)).sum(axis=1)
    most = np.where(among, 0.0, np.where(weight > 0, weight * high, weight * low)).sum(axis=1)
    return Moves(
        weight=np.where(among, weight, 0.0),
        child=np.where(among, index[child], 0),
        settled=moves.settled[..., kept] + np.stack([least, most]),
        paid=moves.paid[kept],
    )


def followed(moves: Moves, actions: Int[np.ndarray, " n"]) -> Moves:
    """The one move of each state that a strategy for both players makes."""
    chosen = actions[None, None]
    return Moves(
        weight=np.take_along_axis(moves.weight, chosen, axis=0),
        child=np.take_along_axis(moves.child, chosen, axis=0),
        settled=np.take_along_axis(moves.settled, chosen, axis=1),
        paid=moves.paid,
    )


class BackUp:
    """Backs values up.

    Args:
      share: part of a value to come that counts.
    """

    def __init__(self, moves: Moves, share: float = 1.0) -> None:
        self.num_states = moves.paid.shape[0]
        self._weight, self._settled = share * moves.weight, moves.settled
        # A loss to come is at least what the opponent gets at most, so signs say which bound counts.
        passes = moves.weight < 0
        self._sources = (
            moves.child + np.where(passes, self.num_states, 0),
            moves.child + np.where(passes, 0, self.num_states),
        )

    def qvalues(self, bounds: Bounds, rows: slice) -> Float[np.ndarray, "2 A m"]:
        """Values of the moves of some states, at least and at most; -inf where illegal."""
        weight, flat = self._weight[..., rows], bounds.reshape(-1)
        expected = [np.einsum("acn,acn->an", weight, flat[source[..., rows]]) for source in self._sources]
        return self._settled[..., rows] + np.stack(expected)

    def __call__(self, bounds: Bounds, rows: slice) -> Float[np.ndarray, "2 m"]:
        """Values of some states, at least and at most, from those of their successors."""
        return self.qvalues(bounds, rows).max(axis=1)
