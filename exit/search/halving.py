"""Sequential halving level by level: which root actions are in the running, and how far each is to go.

Karnin et al. 2013, with the schedule of Danihelka et al. 2022. A level visits every action in the running
equally often; who goes on is decided between levels. Below different root actions nothing is shared, so the
simulations of a level may be done in any order, or side by side, with the same result. Proofs are the
exception: one after another, an action that an earlier one of its level has decided is skipped.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.search import gumbel
from exit.search.config import Gumbel
from exit.search.node import Limits, Node, open_actions

_PAST_EACH = 4
"""Simulations past for each one of a new halving that may end at any time: there are few halvings, and none
of them is most of the search."""

_FOR_EVER = 1 << 30
"""Visits that nothing reaches."""


class Halving(NamedTuple):
    """How far each of B roots is.

    Attributes:
      running: actions of the present level.
      goal: visits that each of them has at its end.
      level_size: how many actions the level started with; 0 before the first.
      length: simulations that the halving is planned for.
    """

    running: Bool[Array, "B A"]
    goal: Int[Array, "B A"]
    level_size: Int[Array, " B"]
    length: Int[Array, " B"]


def before_first(num_states: int, num_actions: int) -> Halving:
    """Nothing has been simulated yet."""
    nowhere, zeros = jnp.zeros((num_states, num_actions), jnp.int32), jnp.zeros(num_states, jnp.int32)
    return Halving(nowhere > 0, nowhere, zeros, zeros)


def present_level(
    halving: Halving,
    score: Float[Array, "B A"],
    node: Node,
    budget: Int[Array, " B"],
    policy: Gumbel,
    limits: Limits,
) -> Halving:
    """The same, with a new level begun where the last one is over; only open actions take part."""
    is_open, num_considered = open_actions(node, limits), gumbel.num_considered(node, policy)
    halving = halving._replace(running=halving.running & is_open)
    over = ~jnp.any(missing(halving, node, limits) > 0, axis=-1)
    # The last level is that of two actions: it lasts, or a new halving starts.
    restart = ~jnp.any(halving.running, axis=-1) | (halving.level_size == 0)
    if policy.anytime:
        restart |= halving.level_size <= 2
    size = jnp.where(restart, num_considered, jnp.maximum(2, halving.level_size // 2))
    best = _best(score, jnp.where(restart[:, None], is_open, halving.running), size, policy)
    num_levels, length = _num_levels(num_considered, policy), budget
    if policy.anytime:
        past = jnp.sum(node.visits, axis=-1).astype(jnp.int32)
        length = jnp.maximum(num_considered * num_levels, past // _PAST_EACH)
        length = jnp.where(over & restart, length, halving.length)
    rounds = jnp.maximum(1, length // (num_levels * jnp.maximum(size, 1)))
    if not policy.anytime:
        rounds = jnp.where(size <= 2, _FOR_EVER, rounds)
    goal = node.visits.astype(jnp.int32) + rounds[:, None]
    return Halving(
        running=jnp.where(over[:, None], best, halving.running),
        goal=jnp.where(over[:, None], goal, halving.goal),
        level_size=jnp.where(over, size, halving.level_size),
        length=length,
    )


def missing(halving: Halving, node: Node, limits: Limits) -> Int[Array, "B A"]:
    """Simulations of each action until the level is over."""
    missing = halving.goal - node.visits.astype(jnp.int32)
    return jnp.where(halving.running & open_actions(node, limits), jnp.maximum(missing, 0), 0)


def next_action(halving: Halving, score: Float[Array, "B A"], node: Node, limits: Limits) -> Int[Array, " B"]:
    """Round by round, the best of those not yet visited in this round first."""
    to_go = missing(halving, node, limits)
    behind = to_go == jnp.max(to_go, axis=-1, keepdims=True)
    return jnp.argmax(jnp.where(behind, score, -jnp.inf), axis=-1).astype(jnp.int32)


def shares(
    halving: Halving,
    score: Float[Array, "B A"],
    node: Node,
    left: Int[Array, " B"],
    limits: Limits,
    max_rounds: int,
) -> Int[Array, "B A"]:
    """Simulations that each action gets next: up to some rounds of the level, as far as `left` goes."""
    to_go = missing(halving, node, limits)
    waiting = to_go > 0
    num_waiting = jnp.maximum(jnp.sum(waiting, axis=-1), 1)
    rounds = jnp.minimum(left // num_waiting, max_rounds)
    # What is left after whole rounds goes to the best.
    order = jnp.argsort(jnp.argsort(jnp.where(waiting, -score, jnp.inf), axis=-1), axis=-1)
    rest = jnp.where(rounds < max_rounds, left - rounds * num_waiting, 0)
    return jnp.minimum(to_go, rounds[:, None] + (order < rest[:, None]))


def _num_levels(num_considered: Int[Array, " B"], policy: Gumbel) -> Int[Array, " B"]:
    """Levels of a halving that starts from so many actions; each has about as many simulations."""
    powers = 2 ** jnp.arange(policy.max_num_considered_actions.bit_length() + 1)
    return jnp.maximum(1, jnp.sum(powers < num_considered[:, None], axis=-1))


def _best(
    score: Float[Array, "B A"], among: Bool[Array, "B A"], size: Int[Array, " B"], policy: Gumbel
) -> Bool[Array, "B A"]:
    """The `size` best of some actions, the first of equals first."""
    most = min(policy.max_num_considered_actions, score.shape[-1])
    _, actions = jax.lax.top_k(jnp.where(among, score, -jnp.inf), most)
    chosen = jnp.arange(most) < size[:, None]
    rows = jnp.arange(score.shape[0])[:, None]
    return among & jnp.zeros_like(among).at[rows, actions].set(chosen)
