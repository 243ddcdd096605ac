"""A ring of recent training examples, as pure functions."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from exit.targets import Targets


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
      num_added: examples added since the start, int32.
    """

    examples: Targets
    num_added: Int[Array, ""]


def init(example: Targets, capacity: int) -> Replay:
    """An empty ring for examples shaped like this one (arrays or shapes, no leading axis)."""
    empty = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), example)
    return Replay(empty, jnp.int32(0))


def add(replay: Replay, examples: Targets) -> Replay:
    """Write n examples over the oldest.

    Raises:
      ValueError: the capacity is not a multiple of n.
    """
    capacity, num_new = replay.examples.value.shape[0], examples.value.shape[0]
    if capacity % num_new:
        raise ValueError(
            f"replay.capacity is {capacity}; it must be a multiple of the {num_new} examples of one iteration"
        )
    offset = replay.num_added % capacity

    def write(ring: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(ring, new, offset, axis=0)

    return Replay(jax.tree.map(write, replay.examples, examples), replay.num_added + num_new)


def sample(replay: Replay, rng_key: Key[Array, ""], num: int) -> Targets:
    """Draw `num` examples uniformly with replacement from those written; the ring must not be empty."""
    size = size_of(replay)
    index = jax.random.randint(rng_key, (num,), 0, size)
    return jax.tree.map(lambda leaf: leaf[index], replay.examples)


def size_of(replay: Replay) -> Int[Array, ""]:
    """Number of examples in the ring."""
    return jnp.minimum(replay.num_added, replay.examples.value.shape[0])
