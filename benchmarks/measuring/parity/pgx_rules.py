"""Games replayed by the rules of Pgx."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pgx
from jaxtyping import Array, Bool, Float, Int

from .games import Games


def replay(games: Games, *, env_id: pgx.EnvId, closing_action: int | None = None) -> Games:
    """The games by the rules of a Pgx environment; actions are numbered alike.

    Args:
      closing_action: Pgx's Othello does not end when neither player can place a stone, but asks for two
        passes first. They are made here, where nothing else is legal, and count as part of the move
        that ended the game by our rules.
    """
    init, step = _programs(env_id, closing_action)
    num_plies, num_games = games.running.shape
    # Pgx draws who moves first.
    state = init(jax.random.split(jax.random.key(0), num_games))
    first = state.current_player
    plies = []
    for ply in range(num_plies):
        player = (state.current_player != first).astype(jnp.int32)
        legal = state.legal_action_mask
        action = jnp.asarray(games.action[ply])
        state, rewards, over = step(state, action, jnp.asarray(games.over[ply]))
        rewards = jnp.stack(
            [rewards[np.arange(num_games), first], rewards[np.arange(num_games), 1 - first]], -1
        )
        plies.append(jax.device_get((player, legal, rewards, over)))
    player, legal, rewards, over = map(np.stack, zip(*plies, strict=True))
    return Games(games.running, player, legal, games.action, rewards, over)


@functools.cache
def _programs(env_id: pgx.EnvId, closing_action: int | None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`init` and `_step` of many games at once, compiled once."""
    env = pgx.make(env_id)
    step = functools.partial(_step, env, closing_action)
    return jax.jit(jax.vmap(env.init)), jax.jit(jax.vmap(step))


def _step(
    env: pgx.Env, closing_action: int | None, state: Any, action: Int[Array, ""], over: Bool[Array, ""]
) -> tuple[Any, Float[Array, "2"], Bool[Array, ""]]:
    """The next state, what the move brought to either player of Pgx, and whether it ended the game."""
    state = env.step(state, action)
    rewards = state.rewards
    if closing_action is not None:
        for _ in range(2):
            alone = state.legal_action_mask.sum() == state.legal_action_mask[closing_action]
            closes = over & ~state.terminated & alone
            closed = env.step(state, jnp.int32(closing_action))
            state = jax.tree.map(lambda new, old, closes=closes: jnp.where(closes, new, old), closed, state)
            rewards = rewards + jnp.where(closes, closed.rewards, 0.0)
    return state, rewards, state.terminated
