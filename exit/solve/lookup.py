"""What an exact table says of states: by their keys, many at a time."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt32

from exit.errors import UserError
from exit.game import State
from exit.solve.action_sets import unpack_sets
from exit.solve.coding import chunk_rows, encode_states
from exit.solve.expand import representatives, successors
from exit.solve.induction import Known, action_values, best_values, tolerance_of
from exit.solve.keys import Keys, is_first, pack, sorted_positions, unpack, with_order
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

    def of(self, rows: np.ndarray) -> "ExactMoves":
        """Those of some of the states."""
        return ExactMoves(*(column[rows] for column in self))

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
    asked = _asked(table, keys)
    num_actions = table.game.num_actions
    values, optimal = np.empty(len(asked.kept)), np.empty((len(asked.kept), num_actions), bool)

    def read(rows: slice) -> None:
        places = _places(table, asked.kept[rows])
        values[rows] = table.stored.at(places)
        optimal[rows] = unpack_sets(table.optimal[places], num_actions).T

    _each_chunk(read, len(asked.kept), asked.chunk)
    return OptimalMoves(*_handed_out(asked, values, optimal))


def exact_moves(table: Table, states: State) -> ExactMoves:
    """Exact values of states stacked along a leading axis, and of all their moves.

    Raises:
      UserError: a state cannot be reached from the initial state.
    """
    return exact_moves_of_keys(table, unpack(encode_states(table.game, states)))


def exact_moves_of_keys(table: Table, keys: UInt32[np.ndarray, "n K"]) -> ExactMoves:
    """`exact_moves` of the states with the given keys."""
    asked = _asked(table, keys)
    num_kept, num_actions = len(asked.kept), table.game.num_actions
    known, tolerance = Known(table.keys, table.stored), tolerance_of(table.game, table.figures.error_bound)
    values, qvalues = np.empty(num_kept), np.empty((num_kept, num_actions))
    optimal, legal = (np.empty((num_kept, num_actions), bool) for _ in range(2))

    def back_up(rows: slice) -> None:
        _places(table, asked.kept[rows])
        moves = successors(table.space, asked.kept[rows], asked.chunk)
        found = action_values(moves, known)
        best = best_values(found)
        values[rows], qvalues[rows], legal[rows] = best, found.T, moves.legal.T
        optimal[rows] = (moves.legal & (found >= best - tolerance)).T

    _each_chunk(back_up, num_kept, asked.chunk)
    return ExactMoves(*_handed_out(asked, values, qvalues, optimal, legal))


class _Asked(NamedTuple):
    """States that are asked for, by what the table keeps of them.

    Attributes:
      kept: packed keys of the kept states, each once, sorted: neighbours lead to neighbours, which makes
        looking them up fast.
      place: of the kept state of each state.
      actions: what each action of a state is called in the kept one; None where they are the same.
      chunk: states to work on at a time.
    """

    kept: Keys
    place: Int[np.ndarray, " n"]
    actions: Int[np.ndarray, "n A"] | None
    chunk: int


def _asked(table: Table, keys: UInt32[np.ndarray, "n K"]) -> _Asked:
    packed = pack(np.asarray(keys, np.uint32))
    if packed.dtype != table.keys.dtype:
        raise _unreachable(table)
    chunk, actions = chunk_rows(table.game, len(packed)), None
    if table.space.reduced and len(packed):
        parts = map_rows(lambda rows: representatives(table.space, packed[rows], chunk), len(packed), chunk)
        packed, actions = (np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))
        actions = actions.T
    ordered, order = with_order(packed)
    first = is_first(ordered)
    place = np.empty(len(packed), np.int64)
    place[order] = np.cumsum(first) - 1
    return _Asked(ordered[first], place, actions, chunk)


def _handed_out(asked: _Asked, *columns: Shaped[np.ndarray, "kept ..."]) -> list[np.ndarray]:
    """What was found out of kept states, for the states that were asked for."""
    results = [np.empty((len(asked.place), *column.shape[1:]), column.dtype) for column in columns]

    def hand_out(rows: slice) -> None:
        for column, result in zip(columns, results, strict=True):
            found = column[asked.place[rows]]
            if asked.actions is not None and found.ndim > 1:
                found = np.take_along_axis(found, asked.actions[rows], axis=1)
            result[rows] = found

    _each_chunk(hand_out, len(asked.place), asked.chunk)
    return results


def _each_chunk(work_fn: Callable[[slice], None], num_rows: int, chunk: int) -> None:
    for _ in map_rows(work_fn, num_rows, chunk):
        pass


def _places(table: Table, keys: Keys) -> Int[np.ndarray, " n"]:
    """The rows of sorted kept states."""
    places = sorted_positions(table.keys, keys)
    if not (table.keys[places] == keys).all():
        raise _unreachable(table)
    return places


def _unreachable(table: Table) -> UserError:
    return UserError(
        f"state not reachable in {table.game.name}; ask only for states that follow from its initial "
        "state, for example those of `unfinished_keys(table)`"
    )
