"""What one more simulation is worth, and the rule that stops thinking where that is little."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from exit.search.config import SearchConfig
from exit.search.forest import Findings
from exit.search.grow import StopFn
from exit.search.node import Limits
from exit.search.result import SearchResult, summarise


def information(
    qvalues: Float[Array, "... A"],
    visits: Int[Array, "... A"],
    action: Int[Array, "..."],
    legal_actions: Bool[Array, "... A"],
    bounds: tuple[float, float],
) -> Float[Array, "... A"]:
    """Bound of what one more simulation of each root action is worth; 0 where illegal.

    D. Tolpin and S. Shimony, MCTS Based on Simple Regret, 2012, equations 6 and 9: Hoeffding's bound of the
    chance that another action's mean overtakes that of the move played, or that this one's falls below the
    second, times what that brings, over its visits.

    Args:
      qvalues: of each action, in reward units.
      action: the move that would be played.
      bounds: least and greatest return in the game.

    Returns:
      Shares of the distance between the bounds.
    """
    low, high = bounds
    values = jnp.where(legal_actions, jnp.clip((qvalues - low) / (high - low), 0.0, 1.0), -jnp.inf)
    played = jax.nn.one_hot(action, values.shape[-1], dtype=bool)
    best = jnp.max(jnp.where(played, values, -jnp.inf), axis=-1, keepdims=True)
    second = jnp.max(jnp.where(played, -jnp.inf, values), axis=-1, keepdims=True)
    # With one action alone there is nothing to find out.
    second = jnp.where(jnp.isfinite(second), second, 0.0)
    gap = jnp.where(played, best - second, best - jnp.where(legal_actions, values, 0.0))
    brings = jnp.where(played, second, 1.0 - best) / (visits + 1)
    chance = 2.0 * jnp.exp(-1.37 * jnp.maximum(gap, 0.0) ** 2 * visits)
    alone = jnp.sum(legal_actions, axis=-1, keepdims=True) < 2
    return jnp.where(legal_actions & ~alone, brings * chance, 0.0)


def doubt(action_weights: Float[Array, "... A"], action: Int[Array, "..."]) -> Float[Array, "... A"]:
    """How far from sure an improved policy is of each action, in [0, 1].

    Args:
      action_weights: of the improved policy.
      action: the move that would be played; it is doubted by the weight of all others, another by its own.
    """
    played = jax.nn.one_hot(action, action_weights.shape[-1], dtype=bool)
    return jnp.clip(jnp.where(played, 1.0 - action_weights, action_weights), 0.0, 1.0)


def worth_of_thinking(result: SearchResult, bounds: tuple[float, float]) -> Float[Array, "..."]:
    """What one more simulation is taken to be worth after a search; 0 where the state is proven.

    Of each action, `information` times the root of `doubt`. The bound knows what was simulated alone, so that
    a move which nobody believes in is worth trying for long; the policy may be sure and wrong. This is the
    geometric mean of the bound that does not ask the policy and the one that leaves all to it.

    Args:
      result: with any leading axes.
      bounds: least and greatest return in the game.

    Returns:
      Shares of the distance between the bounds, as in `information`.
    """
    legal_actions = result.prior > 0
    worth = information(result.qvalues, result.visit_counts, result.action, legal_actions, bounds)
    worth = worth * jnp.sqrt(doubt(result.action_weights, result.action))
    return jnp.where(result.lower == result.upper, 0.0, jnp.max(worth, axis=-1))


def stop_at_price(price: Float[Array, ""] | float, *, limits: Limits, config: SearchConfig) -> StopFn:
    """Stops thinking about a state as soon as one more simulation is worth no more than a price.

    Args:
      price: of a simulation, as a share of the distance between the game's value bounds.
    """
    bounds = (limits.low, limits.high)

    def stop_fn(found: Findings) -> Bool[Array, " B"]:
        silence = jnp.zeros_like(found.prior_logits)
        result = summarise(found, silence, limits=limits, config=config)
        return worth_of_thinking(result, bounds) <= price

    return stop_fn
