"""Observations that are histories `[events, columns]`, as `exit.network.sequence` describes them."""

from typing import Any

import jax
import jax.numpy as jnp

Memory = Any
"""What is kept of a batch of histories: arrays with a leading batch axis."""


def events_to_come(observation: jax.Array) -> jax.Array:
    """How many events of `[B, T, columns]` have not happened."""
    return jnp.sum(1 - observation[..., -1], axis=-1)


def newest_event(observation: jax.Array) -> jax.Array:
    """The last event of `[T, columns]` that has happened; no event if none has."""
    number = jnp.sum(observation[:, -1])
    newest = jnp.arange(1, observation.shape[0] + 1) == number
    return jnp.where(newest[:, None], observation, 0.0).sum(axis=0)
