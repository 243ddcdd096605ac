"""mctx's own Gumbel policy over a game's rules, set up as its users do: its defaults, one device."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mctx
from jaxtyping import Array, Key

from exit.game import Game, State, is_terminal
from exit.network import Params, PredictFn

# Chex dataclasses hide their fields from type checkers.
_MCTX: Any = mctx


def mctx_policy(game: Game, predict: PredictFn, num_simulations: int) -> Callable[..., Any]:
    """`policy(params, rng_key, states)`; a finished game stays as it is and is worth nothing."""

    def recurrent_fn(
        params: Params, rng_key: Key[Array, ""], action: Array, state: State
    ) -> tuple[Any, State]:
        def apply(state: State, action: Array) -> tuple:
            over = is_terminal(game, state)
            next_state, step = game.apply(state, action, jnp.int32(0))
            next_state = jax.tree.map(lambda new, old: jnp.where(over, old, new), next_state, state)
            return next_state, jnp.where(over, 0.0, step.reward), jnp.where(over, 0.0, step.discount)

        next_state, reward, discount = jax.vmap(apply)(state, action)
        legal_actions = jax.vmap(game.legal_actions)(next_state)
        prior_logits, value = predict(params, jax.vmap(game.observe)(next_state))
        output = _MCTX.RecurrentFnOutput(
            reward=reward,
            discount=discount,
            prior_logits=jnp.where(legal_actions, prior_logits, jnp.finfo(prior_logits.dtype).min),
            value=jnp.where(jnp.any(legal_actions, axis=-1), value, 0.0),
        )
        return output, next_state

    def policy(params: Params, rng_key: Key[Array, ""], state: State) -> Any:
        prior_logits, value = predict(params, jax.vmap(game.observe)(state))
        return _MCTX.gumbel_muzero_policy(
            params,
            rng_key,
            _MCTX.RootFnOutput(prior_logits=prior_logits, value=value, embedding=state),
            recurrent_fn,
            num_simulations,
            invalid_actions=~jax.vmap(game.legal_actions)(state),
        )

    return policy
