"""What a policy earns where the states that it can come to are too many: games, with no luck counted.

A policy earns the value of the initial state less the expected sum, over a game, of what its moves give away
(S. Kakade and J. Langford, 2002, lemma 6.1). Exact values tell what a move gives away, so that playing games
out gives an unbiased estimate in which the luck of the outcomes plays no part, only that of where they lead.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from exit.evaluate.figures import interval
from exit.evaluate.walk import PolicyFn
from exit.game import Game, State, is_terminal
from exit.solve import Exact

NUM_GAMES = 1024


class Estimated(NamedTuple):
    """What a policy earns, estimated.

    Attributes:
      value: expected return from the initial state.
      ci95: its 95 % interval, by the normal approximation.
      num_games: that were played.
      longest: moves in the longest of them.
      regret_by_move: mean of what the first, second, ... move of those games gives away that have so many.
    """

    value: float
    ci95: list[float]
    num_games: int
    longest: int
    regret_by_move: list[float]


def estimated_return(
    exact: Exact,
    policy_fn: PolicyFn,
    *,
    num_games: int = NUM_GAMES,
    seed: int = 0,
    progress_fn: Callable[[int], None] | None = None,
) -> Estimated:
    """What a policy of the only player earns, estimated by exact regrets along the games that it plays.

    Args:
      policy_fn: asked for the moves of all games at once.
      progress_fn: told how many moves of each game are done.

    Raises:
      ValueError: there is an opponent, or no game to play.
    """
    if num_games < 1:
        raise ValueError(f"num_games is {num_games}; give at least 1")
    game, rng_key = exact.game, jax.random.key(seed)
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_games, *leaf.shape)), game.init())
    given_away, weight, by_move = np.zeros(num_games), np.ones(num_games), []
    keys, unfinished = jax.device_get(_looked_at(game, states))
    value = float(exact.moves_fn(keys[:1]).values[0])
    while unfinished.any():
        rows = np.flatnonzero(unfinished)
        action = np.zeros(num_games, np.int32)
        action[rows] = policy_fn(keys[rows])
        regrets = exact.moves_fn(keys[rows]).regrets[np.arange(len(rows)), action[rows]]
        given_away[rows] += weight[rows] * regrets
        by_move.append(float(regrets.mean()))
        states, discount = _moved(
            game, states, *map(jnp.asarray, (action, unfinished)), jax.random.fold_in(rng_key, len(by_move))
        )
        if (np.asarray(discount) < 0).any():
            raise ValueError(f"{game.name} has an opponent; estimates are for games of one player")
        weight *= np.asarray(discount)
        keys, unfinished = jax.device_get(_looked_at(game, states))
        if progress_fn is not None:
            progress_fn(len(by_move))
    low, high = interval(given_away) or (0.0, 0.0)
    value, ci95 = value - float(given_away.mean()), [float(value - high), float(value - low)]
    return Estimated(value, ci95, num_games, len(by_move), by_move)


@partial(jax.jit, static_argnames="game")
def _looked_at(game: Game, states: State) -> tuple[UInt32[Array, "n K"], Bool[Array, " n"]]:
    """Keys, and whether a move is to be made."""
    return jax.vmap(lambda state: (game.encode(state), ~is_terminal(game, state)))(states)


@partial(jax.jit, static_argnames="game")
def _moved(
    game: Game,
    states: State,
    action: Int[Array, " n"],
    unfinished: Bool[Array, " n"],
    rng_key: Key[Array, ""],
) -> tuple[State, Float[Array, " n"]]:
    """The next states and the moves' discounts; finished games stay as they are."""

    def move(state: State, action: Array, unfinished: Array, rng_key: Key[Array, ""]) -> tuple[State, Array]:
        outcome = jax.random.categorical(rng_key, jnp.log(game.outcome_probs(state, action)))
        after, step = game.apply(state, action, outcome.astype(jnp.int32))
        after = jax.tree.map(lambda new, old: jnp.where(unfinished, new, old), after, state)
        return after, jnp.where(unfinished, step.discount, 0.0)

    return jax.vmap(move)(states, action, unfinished, jax.random.split(rng_key, unfinished.shape[0]))
