"""What an exact table says of states: by their keys, many at a time."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from exit.errors import UserError
from exit.game import State
from exit.solve.action_sets import has_action
from exit.solve.coding import chunk_rows, encode_states
from exit.solve.expand import representatives, successors
from exit.solve.induction import Known, action_values, best_values, tolerance_of
from exit.solve.keys import Keys, pack, sorted_positions, unpack, with_order
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
    asked, num_actions = _asked(table, keys), table.game.num_actions
    values, optimal = np.empty(len(keys)), np.empty((num_actions, len(keys)), bool)

    def read(rows: slice) -> None:
        there, places = asked.order[rows], _places(table, asked.kept[rows])
        values[there] = table.stored.at(places)
        sets = table.optimal[places]
        for action, chosen in enumerate(optimal):
            chosen[there] = has_action(
                sets, action if asked.actions is None else asked.actions[action, there]
            )

    _each_chunk(read, asked)
    return OptimalMoves(values, optimal.T)


def exact_moves(table: Table, states: State) -> ExactMoves:
    """Exact values of states stacked along a leading axis, and of all their moves.

    Raises:
      UserError: a state cannot be reached from the initial state.
    """
    return exact_moves_of_keys(table, unpack(encode_states(table.game, states)))


def exact_moves_of_keys(table: Table, keys: UInt32[np.ndarray, "n K"]) -> ExactMoves:
    """`exact_moves` of the states with the given keys."""
    asked, shape = _asked(table, keys), (table.game.num_actions, len(keys))
    known, tolerance = Known(table.keys, table.stored), tolerance_of(table.game, table.figures.error_bound)
    values, qvalues = np.empty(len(keys)), np.empty(shape)
    optimal, legal = np.empty(shape, bool), np.empty(shape, bool)

    def back_up(rows: slice) -> None:
        there = asked.order[rows]
        _places(table, asked.kept[rows])
        moves = successors(table.space, asked.keys[there], asked.chunk)
        found = action_values(moves, known)
        values[there] = best = best_values(found)
        chosen = moves.legal & (found >= best - tolerance)
        # Row by row: scattering numbers one at a time is faster than scattering short rows of them.
        for target, source in ((qvalues, found), (optimal, chosen), (legal, moves.legal)):
            for target_row, source_row in zip(target, source, strict=True):
                target_row[there] = source_row

    _each_chunk(back_up, asked)
    return ExactMoves(values, qvalues.T, optimal.T, legal.T)


class _Asked(NamedTuple):
    """States that are asked for.

    Attributes:
      keys: packed.
      kept: keys of the states that the table keeps of them, sorted: neighbours lead to neighbours, which
        makes looking them up fast.
      order: the places in `keys` that `kept` speaks of.
      actions: what each action of a state is called in the kept one; None where they are the same.
      chunk: states to work on at a time.
    """

    keys: Keys
    kept: Keys
    order: Int[np.ndarray, " n"]
    actions: Int[np.ndarray, "A n"] | None
    chunk: int


def _asked(table: Table, keys: UInt32[np.ndarray, "n K"]) -> _Asked:
    packed = pack(np.asarray(keys, np.uint32))
    if packed.dtype != table.keys.dtype:
        raise _unreachable(table)
    chunk = chunk_rows(table.game, len(packed))
    if not table.space.reduced or len(packed) == 0:
        return _Asked(packed, *with_order(packed), None, chunk)
    parts = map_rows(lambda rows: representatives(table.space, packed[rows], chunk), len(packed), chunk)
    kept, actions = (np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))
    return _Asked(packed, *with_order(kept), actions, chunk)


def _each_chunk(work_fn: Callable[[slice], None], asked: _Asked) -> None:
    for _ in map_rows(work_fn, len(asked.keys), asked.chunk):
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
