"""Randomness of a search, drawn as mctx's own policies draw it, so that both can be compared."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from exit.search.config import Gumbel, Policy


class Noise(NamedTuple):
    """What decides by chance, for each state.

    Attributes:
      root: Gumbel noise, to be added to logits; of PUCT, a Dirichlet sample, to be mixed with the prior.
      move: Gumbel noise by which PUCT draws its move.
    """

    root: Float[Array, "B A"]
    move: Float[Array, "B A"]


def draw_noise(rng_key: Key[Array, ""], num_states: int, num_actions: int, policy: Policy) -> Noise:
    """The noise of one search; the key is consumed."""
    shape = (num_states, num_actions)
    if isinstance(policy, Gumbel):
        _, key_gumbel = jax.random.split(rng_key)
        root = policy.gumbel_scale * jax.random.gumbel(key_gumbel, shape)
        return Noise(root, jnp.zeros(shape))
    key_move, key_dirichlet, _ = jax.random.split(rng_key, 3)
    root = jnp.zeros(shape)
    if policy.dirichlet_fraction > 0:
        root = jax.random.dirichlet(
            key_dirichlet, jnp.full(num_actions, policy.dirichlet_alpha), (num_states,)
        )
    return Noise(root, jax.random.gumbel(key_move, shape))


def explored(prior_logits: Float[Array, "B A"], noise: Noise, policy: Policy) -> Float[Array, "B A"]:
    """Logits that the root explores by; of illegal actions they mean nothing."""
    if isinstance(policy, Gumbel):
        return noise.root + prior_logits
    prior = jax.nn.softmax(prior_logits)
    mixed = (1 - policy.dirichlet_fraction) * prior + policy.dirichlet_fraction * noise.root
    return jnp.log(jnp.maximum(mixed, jnp.finfo(mixed.dtype).tiny))
