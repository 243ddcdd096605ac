"""What an iteration's games say about how learning goes."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from exit.selfplay import Trajectory
from exit.targets import Targets

_NO_SPREAD = 1e-6
"""Variance of values, reward units squared, below which they count as all the same."""


class PlayFigures(NamedTuple):
    """Means over the positions of one iteration, and a slope.

    Attributes:
      entropy: of the reflex policy, nats.
      top_weight: share of the improved policy that is on its favourite move.
      overridden: share of positions whose favourite move is another than the reflex's.
      value_surprise: distance of the network's value from the search's, reward units.
      value_slope: of the least-squares line of the value targets over the network's values (Mincer and
        Zarnowitz 1969): 1 where these are calibrated, less where they go too far, more where not far enough;
        NaN where they do not differ.
      proven: share of positions that search solved.
      simulations: spent on a position.
    """

    entropy: Float[Array, ""]
    top_weight: Float[Array, ""]
    overridden: Float[Array, ""]
    value_surprise: Float[Array, ""]
    value_slope: Float[Array, ""]
    proven: Float[Array, ""]
    simulations: Float[Array, ""]


def play_figures(played: Trajectory, targets: Targets) -> PlayFigures:
    """The figures of what was played.

    Args:
      targets: what `exit.targets.make_targets` made of it.
    """
    prior, weights = played.prior, played.action_weights
    # Positions from inside the trees, if there are any, follow those that were played.
    taught = targets.value[: played.value.size].reshape(played.value.shape)
    return PlayFigures(
        entropy=-jnp.mean(jnp.sum(prior * jnp.log(jnp.maximum(prior, 1e-30)), axis=-1)),
        top_weight=jnp.mean(jnp.max(weights, axis=-1)),
        overridden=jnp.mean(jnp.argmax(weights, axis=-1) != jnp.argmax(prior, axis=-1)),
        value_surprise=jnp.mean(jnp.abs(played.value - played.prior_value)),
        value_slope=_slope(played.prior_value, taught),
        proven=jnp.mean(played.lower == played.upper),
        simulations=jnp.mean(played.num_simulations.astype(jnp.float32)),
    )


def _slope(said: Float[Array, "T B"], taught: Float[Array, "T B"]) -> Float[Array, ""]:
    """Of the least-squares line of what was taught over what was said."""
    off = said - jnp.mean(said)
    variance = jnp.mean(off**2)
    return jnp.where(
        variance > _NO_SPREAD, jnp.mean(off * taught) / jnp.maximum(variance, _NO_SPREAD), jnp.nan
    )
