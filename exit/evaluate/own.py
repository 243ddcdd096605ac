"""Positions that an agent's own play leads to."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Key, UInt32

from exit.game import Game, State
from exit.network import Params, PredictFn

_NUM_GAMES = 512
_MAX_MOVES = 1000
_MIN_SHARE = 0.02


def own_positions(
    params: Params, *, game: Game, predict: PredictFn, num: int, seed: int = 0
) -> UInt32[np.ndarray, "n K"]:
    """Distinct unfinished positions of games in which the reflex draws every move in proportion to its prior.

    Returns:
      Keys in random order; fewer than `num` where further games bring hardly any new positions.
    """
    rng_key, found, rounds, fresh = jax.random.key(seed), {}, 0, num
    while len(found) < num and fresh >= _MIN_SHARE * num:
        before = len(found)
        for keys in _games(params, jax.random.fold_in(rng_key, rounds), game, predict):
            found |= dict.fromkeys(key.tobytes() for key in keys)
        fresh, rounds = len(found) - before, rounds + 1
    words = np.frombuffer(b"".join(found), np.uint32).reshape(len(found), -1)
    return words[np.random.default_rng(seed).permutation(len(found))[:num]]


def _games(
    params: Params, rng_key: Key[Array, ""], game: Game, predict: PredictFn
) -> list[UInt32[np.ndarray, "n K"]]:
    """Keys of the unfinished positions before each move of some games."""
    states = jax.tree.map(lambda leaf: jnp.stack([leaf] * _NUM_GAMES), game.init())
    met = []
    for ply in range(_MAX_MOVES):
        key_ply = jax.random.fold_in(rng_key, ply)
        keys, unfinished, states = _move(params, states, key_ply, game=game, predict=predict)
        if not (here := np.asarray(unfinished)).any():
            break
        met.append(np.asarray(keys)[here])
    return met


@functools.partial(jax.jit, static_argnames=("game", "predict"))
def _move(
    params: Params, states: State, rng_key: Key[Array, ""], *, game: Game, predict: PredictFn
) -> tuple[UInt32[Array, "B K"], Bool[Array, " B"], State]:
    """Keys of the states, which are unfinished, and the states after one move drawn in each."""
    legal = jax.vmap(game.legal_actions)(states)
    logits, _ = predict(params, jax.vmap(game.observe)(states))

    def move(state: State, logits: Array, rng_key: Key[Array, ""]) -> State:
        key_action, key_outcome = jax.random.split(rng_key)
        action = jax.random.categorical(key_action, logits)
        outcome = jax.random.categorical(key_outcome, jnp.log(game.outcome_probs(state, action)))
        return game.apply(state, action, outcome)[0]

    keys = jax.random.split(rng_key, legal.shape[0])
    after = jax.vmap(move)(states, jnp.where(legal, logits, -jnp.inf), keys)
    unfinished = legal.any(-1)
    # A finished game stays as it is.
    after = jax.tree.map(
        lambda new, old: jnp.where(unfinished.reshape(-1, *[1] * (new.ndim - 1)), new, old), after, states
    )
    return jax.vmap(game.encode)(states), unfinished, after
