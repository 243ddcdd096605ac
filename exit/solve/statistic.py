"""Exact values of games whose states say more than matters, by those of the game of what does matter."""

from functools import partial

import jax
import numpy as np
from jaxtyping import UInt32

from exit.errors import UserError
from exit.game import Game, State, statistic_game_of, statistic_of
from exit.solve.coding import encode_states, initial_key
from exit.solve.exact import Exact
from exit.solve.keys import unpack
from exit.solve.lookup import ExactMoves
from exit.solve.states import states_of
from exit.solve.threads import row_slices

_CHUNK, _LEAST_CHUNK = 1 << 15, 1 << 9


def statistics_of(game: Game, keys: UInt32[np.ndarray, "n K"]) -> State:
    """Sufficient statistics of the states of these keys, stacked along a leading axis as NumPy arrays.

    Raises:
      ValueError: the game names none.
    """
    # Few sizes, so that few programs are compiled; one row at least gives an empty request its shapes.
    chunk = _LEAST_CHUNK if len(keys) <= _LEAST_CHUNK else _CHUNK
    filled = np.concatenate([keys, np.repeat(unpack(initial_key(game)), -len(keys) % chunk or chunk, axis=0)])
    parts = [
        jax.device_get(_statistics(game, states_of(game, filled[rows])))
        for rows in row_slices(len(filled), chunk)
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(keys)], *parts)


@partial(jax.jit, static_argnames="game")
def _statistics(game: Game, states: State) -> State:
    return jax.vmap(partial(statistic_of, game))(states)


def exact_of_statistic(game: Game, statistic: Exact) -> Exact:
    """Exact values of a game by those of its statistics.

    Args:
      statistic: of the game that the game's `statistic_game` names.

    Raises:
      ValueError: these are of another game.
    """
    if statistic.game != statistic_game_of(game):
        raise ValueError(f"{game.name} has no statistics that are states of {statistic.game.name}")

    def moves_fn(keys: UInt32[np.ndarray, "n K"]) -> ExactMoves:
        words = unpack(encode_states(statistic.game, statistics_of(game, keys)))
        try:
            return statistic.moves_fn(words)
        except UserError as error:
            raise UserError(
                f"state not reachable in {game.name}: no play produces such a history; ask only for states "
                "that follow from its initial state"
            ) from error

    return Exact(game, statistic.solver, moves_fn, statistic=statistic)
