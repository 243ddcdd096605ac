"""PUCT (Silver et al. 2018; Schrittwieser et al. 2020, appendix B): which action a simulation follows."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from exit.search.config import PUCT
from exit.search.node import Limits, Node, open_actions


def puct_action(node: Node, policy: PUCT, limits: Limits) -> Int[Array, "..."]:
    """The action with the greatest value, stretched to [0, 1], plus bonus; the first of equals."""
    visited = node.visits > 0
    value = node.value[..., None]
    known = jnp.where(visited, node.qvalues, value)
    low = jnp.minimum(value, jnp.min(known, axis=-1, keepdims=True))
    high = jnp.maximum(value, jnp.max(known, axis=-1, keepdims=True))
    stretched = (jnp.where(visited, node.qvalues, low) - low) / jnp.maximum(high - low, 1e-8)
    num_visits = 1 + jnp.sum(node.visits, axis=-1, keepdims=True)
    weight = policy.pb_c_init + jnp.log((num_visits + policy.pb_c_base + 1.0) / policy.pb_c_base)
    bonus = jnp.sqrt(num_visits) * weight * jax.nn.softmax(node.prior_logits) / (node.visits + 1)
    return jnp.argmax(jnp.where(open_actions(node, limits), stretched + bonus, -jnp.inf), axis=-1).astype(
        jnp.int32
    )
