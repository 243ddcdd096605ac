"""What an exact table says of states: by their keys, many at a time."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt32

from exit.errors import UserError
from exit.game import State
from exit.solve.action_sets import unpack_sets
from exit.solve.coding import chunk_rows, encode_states
from exit.solve.expand import representatives, successors
from exit.solve.induction import Known, action_values, best_values, tolerance_of
from exit.solve.keys import Keys, pack, positions
from exit.solve.table import Table
from exit.solve.threads import map_rows


class OptimalMoves(NamedTuple):
    """What perfect play makes of n states; a terminal state has value 0 and no move.

    Attributes:
      values: return to the player to move.
      optimal: as in `ExactMoves`.
    """

    values: Float[np.ndarray, " n"]
    optimal: Bool[np.ndarray, "n A"]


class ExactMoves(NamedTuple):
    """What perfect play makes of n states and their moves; a terminal state has value 0 and no move.

    Attributes:
      values: return to the player to move.
      qvalues: value of each action, -inf where illegal.
      optimal: legal actions whose value is the best one, up to 1e-9 of the game's greatest value.
      legal: which actions are.
    """

    values: Float[np.ndarray, " n"]
    qvalues: Float[np.ndarray, "n A"]
    optimal: Bool[np.ndarray, "n A"]
    legal: Bool[np.ndarray, "n A"]

    @property
    def critical(self) -> Bool[np.ndarray, " n"]:
        """Whether at least one legal move is a mistake."""
        return np.logical_or.reduce(self.legal & ~self.optimal, axis=1)

    @property
    def regrets(self) -> Float[np.ndarray, "n A"]:
        """What each action gives away; 0 where it is optimal, inf where it is illegal."""
        return np.where(self.optimal, 0.0, self.values[:, None] - self.qvalues)


def optimal_moves(table: Table, keys: UInt32[np.ndarray, "n K"]) -> OptimalMoves:
    """Values and optimal moves of the states with the given keys, read from the table.

    Raises:
      UserError: a state cannot be reached from the initial state.
    """
    packed = _packed(table, keys)
    chunk = chunk_rows(table.game, len(packed))
    values, optimal = np.empty(len(packed)), np.empty((len(packed), table.game.num_actions), bool)

    def fill(rows: slice) -> None:
        here = packed[rows]
        if not table.space.reduced:
            places = _places(table, here)
            chosen = unpack_sets(table.optimal[places], table.game.num_actions)
        else:
            standing = representatives(table.space, here, chunk)
            places = _places(table, standing.keys)
            images = unpack_sets(table.optimal[places], table.game.num_actions)
            chosen = np.take_along_axis(images, standing.actions, axis=0)
        values[rows], optimal[rows] = table.stored.at(places), chosen.T

    for _ in map_rows(fill, len(packed), chunk):
        pass
    return OptimalMoves(values, optimal)


def exact_moves(table: Table, states: State) -> ExactMoves:
    """Exact values of states stacked along a leading axis, and of all their moves.

    Raises:
      UserError: a state cannot be reached from the initial state.
    """
    return _exact_moves(table, encode_states(table.game, states))


def exact_moves_of_keys(table: Table, keys: UInt32[np.ndarray, "n K"]) -> ExactMoves:
    """`exact_moves` of the states with the given keys."""
    return _exact_moves(table, _packed(table, keys))


def _exact_moves(table: Table, keys: Keys) -> ExactMoves:
    num_states, num_actions = len(keys), table.game.num_actions
    result = ExactMoves(
        values=np.empty(num_states),
        qvalues=np.empty((num_states, num_actions)),
        optimal=np.empty((num_states, num_actions), bool),
        legal=np.empty((num_states, num_actions), bool),
    )
    chunk = chunk_rows(table.game, num_states)
    known, tolerance = Known(table.keys, table.stored), tolerance_of(table.game, table.figures.error_bound)

    def fill(rows: slice) -> None:
        here = keys[rows]
        _places(table, representatives(table.space, here, chunk).keys if table.space.reduced else here)
        moves = successors(table.space, here, chunk)
        qvalues = action_values(moves, known)
        best = best_values(qvalues)
        result.values[rows], result.qvalues[rows], result.legal[rows] = best, qvalues.T, moves.legal.T
        result.optimal[rows] = (moves.legal & (qvalues >= best - tolerance)).T

    for _ in map_rows(fill, num_states, chunk):
        pass
    return result


def _packed(table: Table, keys: UInt32[np.ndarray, "n K"]) -> Keys:
    packed = pack(np.asarray(keys, np.uint32))
    if packed.dtype != table.keys.dtype:
        raise _unreachable(table)
    return packed


def _places(table: Table, keys: Keys) -> np.ndarray:
    """The rows of kept states."""
    places = positions(table.keys, keys)
    if not (table.keys[places] == keys).all():
        raise _unreachable(table)
    return places


def _unreachable(table: Table) -> UserError:
    return UserError(
        f"state not reachable in {table.game.name}; ask only for states that follow from its initial "
        "state, for example those of `unfinished_keys(table)`"
    )
