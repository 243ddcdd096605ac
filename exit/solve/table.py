"""Exact values of every reachable state of a game, and what they say about moves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt32

from exit.errors import UserError
from exit.game import Game, State
from exit.solve.expand import Successors, chunk_rows, decode_keys, encode_states, initial_key, successors
from exit.solve.keys import Keys, contains, map_rows, pack, positions, unpack

_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Table:
    """Every reachable state of a game, terminal ones included.

    Attributes:
      keys: packed as in `exit.solve.keys`, sorted.
      values: return to the player to move; 0 in terminal states.
      terminal: True where no action is legal.
      states_by_ply: states whose shortest line of play has that many moves; sums to `len(keys)`.
      seconds: wall time of the solution.
      peak_mb: greatest memory of the process that solved it, 1e6 bytes.
      directory: where the table is stored, if it is.
    """

    game: Game
    keys: Keys
    values: Float[np.ndarray, " n"]
    terminal: Bool[np.ndarray, " n"]
    states_by_ply: tuple[int, ...]
    seconds: float
    peak_mb: float
    directory: Path | None = None


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


def action_values(
    moves: Successors, keys: Keys, values: Float[np.ndarray, " states"]
) -> Float[np.ndarray, "n A"]:
    """Expected reward and discounted value of each action, -inf where illegal.

    Args:
      keys: sorted, with every successor after which the game goes on.
      values: of `keys`.
    """
    # Values after a discount of 0 do not matter, which spares looking up finished games.
    goes_on = (moves.probs > 0) & (moves.discounts != 0)
    returns = moves.rewards.copy()
    if goes_on.any():
        next_values = values[positions(keys, moves.keys[goes_on])]
        returns[goes_on] += moves.discounts[goes_on] * next_values
    # An impossible outcome may carry any reward, infinite ones included.
    returns = np.where(moves.probs > 0, returns, 0.0)
    expected = returns[..., 0] if returns.shape[-1] == 1 else (moves.probs * returns).sum(axis=-1)
    return np.where(moves.legal, expected, -np.inf)


def best_values(qvalues: Float[np.ndarray, "n A"]) -> Float[np.ndarray, " n"]:
    """Value of the best legal action, 0 where there is none."""
    best = qvalues.max(axis=1)
    return np.where(best == -np.inf, 0.0, best)


def exact_moves(table: Table, states: State) -> ExactMoves:
    """Exact values of states stacked along a leading axis, and of all their moves.

    Raises:
      UserError: a state cannot be reached from the initial state.
    """
    return _exact_moves(table, encode_states(table.game, states))


def exact_moves_of_keys(table: Table, keys: UInt32[np.ndarray, "n K"]) -> ExactMoves:
    """`exact_moves` of the states with the given keys."""
    return _exact_moves(table, pack(np.asarray(keys, np.uint32)))


def _exact_moves(table: Table, keys: Keys) -> ExactMoves:
    num_states, num_actions = len(keys), table.game.num_actions
    result = ExactMoves(
        values=np.empty(num_states),
        qvalues=np.empty((num_states, num_actions)),
        optimal=np.empty((num_states, num_actions), bool),
        legal=np.empty((num_states, num_actions), bool),
    )
    tolerance = _TOLERANCE * max(map(abs, table.game.value_bounds))

    def fill(rows: slice) -> None:
        _require_known(table, keys[rows])
        moves = successors(table.game, keys[rows])
        qvalues = action_values(moves, table.keys, table.values)
        best = best_values(qvalues)
        result.values[rows], result.qvalues[rows], result.legal[rows] = best, qvalues, moves.legal
        result.optimal[rows] = moves.legal & (qvalues >= best[:, None] - tolerance)

    if num_states:
        for _ in map_rows(fill, num_states, chunk_rows(table.game)):
            pass
    return result


def _require_known(table: Table, keys: Keys) -> None:
    if keys.dtype != table.keys.dtype or not contains(table.keys, keys).all():
        raise UserError(
            f"state not reachable in {table.game.name}; ask only for states that follow from its initial "
            "state, for example those of `unfinished_keys(table)`"
        )


def unfinished_keys(table: Table) -> UInt32[np.ndarray, "n K"]:
    """Keys of all states in which a move is to be made."""
    return unpack(table.keys[~table.terminal])


def states_of(game: Game, keys: UInt32[np.ndarray, "n K"]) -> State:
    """States of keys, stacked along a leading axis as NumPy arrays."""
    return decode_keys(game, pack(np.asarray(keys, np.uint32)))


def initial_value(table: Table) -> float:
    """Value of the initial state for the player to move there."""
    return float(table.values[positions(table.keys, initial_key(table.game))[0]])


def summary(table: Table) -> dict[str, Any]:
    """The figures that `xit solve --json` reports."""
    return {
        "game": table.game.name,
        "states": len(table.keys),
        "states_by_ply": list(table.states_by_ply),
        "terminal_states": int(np.count_nonzero(table.terminal)),
        "value": initial_value(table),
        "seconds": table.seconds,
        "peak_mb": table.peak_mb,
        "table": None if table.directory is None else str(table.directory),
    }
