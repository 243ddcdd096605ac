"""Sequential halving by rounds: which root actions are in the running, and which are still to be visited.

Karnin et al. 2013, with the schedule of Danihelka et al. 2022. A round visits every action in the running
once; who goes on is decided between rounds. Below different root actions nothing is shared, so the actions of
a round may be simulated in any order, or all at once, with the same result. Proofs are the exception: one at
a time, an action that an earlier one of its round has decided is skipped.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.search.config import Gumbel


class Halving(NamedTuple):
    """How far each of B roots is.

    Attributes:
      running: actions of the present level.
      pending: those of them that this round has not visited yet.
      level_size: how many actions the level started with; 0 before the first.
      rounds_left: rounds of the level after this one.
    """

    running: Bool[Array, "B A"]
    pending: Bool[Array, "B A"]
    level_size: Int[Array, " B"]
    rounds_left: Int[Array, " B"]


def before_first(num_states: int, num_actions: int) -> Halving:
    """Nothing has been simulated yet."""
    nobody = jnp.zeros((num_states, num_actions), bool)
    zeros = jnp.zeros(num_states, jnp.int32)
    return Halving(nobody, nobody, zeros, zeros)


def next_turn(
    halving: Halving,
    score: Float[Array, "B A"],
    is_open: Bool[Array, "B A"],
    budget: Int[Array, " B"],
    num_considered: Int[Array, " B"],
    policy: Gumbel,
) -> Halving:
    """The same, with a new round begun where the last one is over; only open actions take part."""
    running, pending = halving.running & is_open, halving.pending & is_open
    round_over = ~jnp.any(pending, axis=-1)
    nobody = ~jnp.any(running, axis=-1)
    level_over = round_over & (nobody | (halving.rounds_left == 0))
    # The last level is that of two actions: it lasts, or a new halving starts.
    restart = nobody | (halving.level_size == 0)
    if policy.anytime:
        restart |= halving.level_size <= 2
    size = jnp.where(restart, num_considered, jnp.maximum(2, halving.level_size // 2))
    best = _best(score, jnp.where(restart[:, None], is_open, running), size, policy)
    running = jnp.where(level_over[:, None], best, running)
    rounds = _rounds(size, budget, num_considered, policy)
    return Halving(
        running=running,
        pending=jnp.where(round_over[:, None], running, pending),
        level_size=jnp.where(level_over, size, halving.level_size),
        rounds_left=jnp.where(level_over, rounds, halving.rounds_left) - round_over,
    )


def take_turn(
    turn: Halving,
    score: Float[Array, "B A"],
    left: Int[Array, " B"],
    num_leaves: int,
    alive: Bool[Array, " B"],
) -> tuple[Halving, Int[Array, "B K"], Bool[Array, "B K"]]:
    """Up to `num_leaves` of the pending actions, the best first, as far as the budget that is left goes.

    Returns:
      What is pending then, actions, and which of them are to be simulated; none where not `alive`.
    """
    best, action = jax.lax.top_k(jnp.where(turn.pending, score, -jnp.inf), num_leaves)
    chosen = alive[:, None] & (best > -jnp.inf) & (jnp.arange(num_leaves) < left[:, None])
    rows = jnp.arange(score.shape[0])[:, None]
    done = jnp.zeros_like(turn.pending).at[rows, action].set(chosen)
    return turn._replace(pending=turn.pending & ~done), action, chosen


def _rounds(
    size: Int[Array, " B"], budget: Int[Array, " B"], num_considered: Int[Array, " B"], policy: Gumbel
) -> Int[Array, " B"]:
    """Rounds of a level of `size` actions: every level has about as many simulations."""
    if policy.anytime:
        return jnp.maximum(1, num_considered // jnp.maximum(size, 1))
    powers = 2 ** jnp.arange(policy.max_num_considered_actions.bit_length() + 1)
    num_levels = jnp.maximum(1, jnp.sum(powers < num_considered[:, None], axis=-1))
    rounds = jnp.maximum(1, budget // (num_levels * jnp.maximum(size, 1)))
    return jnp.where(size <= 2, jnp.iinfo(jnp.int32).max, rounds)


def _best(
    score: Float[Array, "B A"], among: Bool[Array, "B A"], size: Int[Array, " B"], policy: Gumbel
) -> Bool[Array, "B A"]:
    """The `size` best of some actions, the first of equals first."""
    most = min(policy.max_num_considered_actions, score.shape[-1])
    _, actions = jax.lax.top_k(jnp.where(among, score, -jnp.inf), most)
    chosen = jnp.arange(most) < size[:, None]
    rows = jnp.arange(score.shape[0])[:, None]
    return among & jnp.zeros_like(among).at[rows, actions].set(chosen)
