"""Histories: what happened, event by event, in the order in which it did, and nothing made of it.

An event is a number from 1 on; 0 stands for the events to come.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

Events = UInt8[Array, " T"]


def none_yet(length: int) -> Events:
    """A history in which nothing has happened, with room for so many events."""
    return jnp.zeros(length, jnp.uint8)


def number_of(events: Events) -> Int[Array, ""]:
    """Events that have happened."""
    return jnp.sum(events > 0, dtype=jnp.int32)


def appended(events: Events, event: Int[Array, ""]) -> Events:
    """The history with one event more; the same where there is no room."""
    here = np.arange(events.shape[0]) == number_of(events)
    return jnp.where(here, event, events).astype(jnp.uint8)


def can_happen(events: Events, num_kinds: int) -> Bool[Array, ""]:
    """Whether every event is one that there is, and none comes after one that has not happened."""
    happened = events > 0
    return jnp.all(events <= num_kinds) & jnp.all(happened[:-1] | ~happened[1:])


def counts_of(events: Events, num_kinds: int) -> Int[Array, " kinds"]:
    """How often each kind of event has happened."""
    kinds = np.arange(1, num_kinds + 1)
    return jnp.sum(events[:, None] == kinds, axis=0, dtype=jnp.int32)


def seen(events: Events, num_kinds: int) -> Float[Array, "T columns"]:
    """A row for each event: one column for each kind, and one for whether it has happened."""
    kinds = jax.nn.one_hot(events.astype(jnp.int32) - 1, num_kinds)
    return jnp.concatenate([kinds, (events > 0)[:, None]], axis=1).astype(jnp.float32)


def written(events: Sequence[int], length: int) -> Events:
    """The history of these events, the first one first."""
    return jnp.asarray([*events, *[0] * (length - len(events))], jnp.uint8)
