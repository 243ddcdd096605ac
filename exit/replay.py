"""A ring of recent training examples, as pure functions."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from exit.targets import Targets

_LEAST_REGRET = 1e-6


@dataclass(frozen=True)
class ReplayConfig:
    """Size of the ring.

    Attributes:
      capacity: examples kept; the oldest are overwritten.
    """

    capacity: int = 65_536

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError(f"replay.capacity is {self.capacity}; it must be at least 1")


class Replay(NamedTuple):
    """A ring of examples.

    Attributes:
      examples: leaves `[capacity, ...]`; entries not yet written are zero.
      age: iterations since each was searched.
      next_index: where the next examples go, in [0, capacity).
      size: entries written so far, at most the capacity.
    """

    examples: Targets
    age: Int[Array, " capacity"]
    # Not one count of all examples ever added: a long run adds more than an int32 holds.
    next_index: Int[Array, ""]
    size: Int[Array, ""]


def init(example: Targets, capacity: int) -> Replay:
    """An empty ring for examples shaped like this one (arrays or shapes, no leading axis)."""
    empty = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), example)
    return Replay(empty, jnp.zeros(capacity, jnp.int32), next_index=jnp.int32(0), size=jnp.int32(0))


def add(replay: Replay, examples: Targets) -> Replay:
    """Write n examples, searched just now, over those played first; the others get an iteration older.

    Raises:
      ValueError: the capacity is not a multiple of n.
    """
    capacity, num_new = replay.examples.value.shape[0], examples.value.shape[0]
    if capacity % num_new:
        raise ValueError(
            f"replay.capacity is {capacity}; it must be a multiple of the {num_new} examples of one iteration"
        )

    def write(ring: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(ring, new, replay.next_index, axis=0)

    return Replay(
        jax.tree.map(write, replay.examples, examples),
        write(replay.age + 1, jnp.zeros(num_new, jnp.int32)),
        next_index=(replay.next_index + num_new) % capacity,
        size=jnp.minimum(replay.size + num_new, capacity),
    )


def draw(replay: Replay, rng_key: Key[Array, ""], num: int, *, focus: float = 0.0) -> Int[Array, " num"]:
    """Rows of `num` examples, with replacement, from those written; the ring must not be empty.

    Args:
      focus: share of them, the last ones, drawn in proportion to the examples' regret (proportional
        prioritisation; Schaul et al. 2016, section 3.3); the others evenly.
    """
    num_focused = round(focus * num)
    if not num_focused:
        return jax.random.randint(rng_key, (num,), 0, replay.size)
    key_even, key_focused = jax.random.split(rng_key)
    even = jax.random.randint(key_even, (num - num_focused,), 0, replay.size)
    written = jnp.arange(len(replay.age)) < replay.size
    # Where nothing is given away any more, all are alike.
    upto = jnp.cumsum(jnp.where(written, replay.examples.regret + _LEAST_REGRET, 0.0))
    # One from each of equal parts, which is what a sum tree is asked for.
    part = (jnp.arange(num_focused) + jax.random.uniform(key_focused, (num_focused,))) / num_focused
    focused = jnp.searchsorted(upto, part * upto[-1], side="right")
    return jnp.concatenate([even, jnp.minimum(focused, replay.size - 1)])


def rows_at(replay: Replay, rows: Int[Array, " n"]) -> Targets:
    """The examples of these rows."""
    return jax.tree.map(lambda leaf: leaf[rows], replay.examples)
