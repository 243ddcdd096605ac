"""Gumbel search (Danihelka et al. 2022): improved policies, and which action a simulation follows."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.search.config import Gumbel
from exit.search.node import Limits, Node, is_legal, open_actions
from exit.search.schedule import considered_visit

_NEVER = -jnp.inf


def completed_qvalues(
    node: Node, policy: Gumbel, limits: Limits
) -> tuple[Float[Array, "... A"], Float[Array, "... A"]]:
    """Q-values with the mixed value where an action has no visit, and the same as added to logits.

    The mixed value is that of Danihelka et al. 2022, appendix D: the network's value and the visited
    actions' Q-values under the prior, weighed by visits.

    Returns:
      Q-values in reward units; Q-values scaled by visits, stretched to [0, 1] first if so configured.
    """
    visited = node.visits > 0
    num_visits = jnp.sum(node.visits, axis=-1)
    prior = jnp.maximum(jnp.finfo(jnp.float32).tiny, jax.nn.softmax(node.prior_logits))
    visited_prob = jnp.sum(jnp.where(visited, prior, 0.0), axis=-1, keepdims=True)
    share = prior * node.qvalues / jnp.where(visited, visited_prob, 1.0)
    mean_qvalue = jnp.sum(jnp.where(visited, share, 0.0), axis=-1)
    mixed = (node.raw_value + num_visits * mean_qvalue) / (num_visits + 1)
    completed = jnp.where(visited, node.qvalues, mixed[..., None])
    stretched, value_scale = completed, policy.value_scale
    if policy.rescale_values:
        low = jnp.min(completed, axis=-1, keepdims=True)
        high = jnp.max(completed, axis=-1, keepdims=True)
        stretched = (completed - low) / jnp.maximum(high - low, 1e-8)
    else:
        value_scale = value_scale / (limits.high - limits.low)
    visit_scale = policy.maxvisit_init + jnp.max(node.visits, axis=-1, keepdims=True)
    return completed, visit_scale * value_scale * stretched


def interior_action(node: Node, policy: Gumbel, limits: Limits) -> Int[Array, "..."]:
    """The action whose visits lag most behind the improved policy (paper, section 5)."""
    _, scaled = completed_qvalues(node, policy, limits)
    improved = jax.nn.softmax(node.prior_logits + scaled)
    lag = improved - node.visits / (1 + jnp.sum(node.visits, axis=-1, keepdims=True))
    return jnp.argmax(jnp.where(open_actions(node, limits), lag, _NEVER), axis=-1).astype(jnp.int32)


def root_score(
    explore: Float[Array, "... A"], scaled_qvalues: Float[Array, "... A"]
) -> Float[Array, "... A"]:
    """What decides among the root's actions; `explore` is the prior's logits with Gumbel noise."""
    return jnp.maximum(-1e9, explore + scaled_qvalues)


def halving_action(
    node: Node,
    score: Float[Array, "... A"],
    budget: Int[Array, "..."],
    spent: Int[Array, "..."],
    policy: Gumbel,
    limits: Limits,
) -> Int[Array, "..."]:
    """The root's next action by sequential halving over the whole budget, one simulation at a time."""
    visit = considered_visit(
        budget,
        num_considered(node, policy),
        jnp.minimum(spent, budget),
        max_num_considered=policy.max_num_considered_actions,
    )[..., None]
    # Where proofs have closed every action that the schedule is at: those that are next in line, else the
    # best of those that have fallen out.
    visits = node.visits
    apart = jnp.where(visits >= visit, visits - visit, 1e9 - visits)
    turn = _least(apart, open_actions(node, limits))
    return jnp.argmax(jnp.where(turn, score, _NEVER), axis=-1).astype(jnp.int32)


def num_considered(node: Node, policy: Gumbel) -> Int[Array, "..."]:
    """How many root actions sequential halving starts from."""
    return jnp.minimum(policy.max_num_considered_actions, jnp.sum(is_legal(node.prior_logits), axis=-1))


def _least(values: Float[Array, "... A"], among: Bool[Array, "... A"]) -> Bool[Array, "... A"]:
    """Where the values are least among some."""
    values = jnp.where(among, values, jnp.inf)
    return among & (values == jnp.min(values, axis=-1, keepdims=True))
