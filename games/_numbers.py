"""Several small numbers in one key, and as inputs of a network."""

import itertools
import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32, UInt32

_WORD_VALUES = 1 << 32


def word_groups(radices: Sequence[int]) -> list[list[int]]:
    """Indices of the numbers that share each 32-bit word of a key, filled greedily in order.

    Args:
      radices: number i is at least 0 and below `radices[i]`.
    """
    groups: list[list[int]] = [[]]
    for index, radix in enumerate(radices):
        if math.prod(radices[other] for other in groups[-1]) * radix > _WORD_VALUES:
            groups.append([])
        groups[-1].append(index)
    return groups


def packed(numbers: Int[Array, " n"], radices: Sequence[int]) -> UInt32[Array, " K"]:
    """The key of some numbers, in mixed radix, the last number of each word counting least."""
    words = []
    for group in word_groups(radices):
        word = jnp.uint32(0)
        for index in group:
            word = word * np.uint32(radices[index]) + numbers[index].astype(jnp.uint32)
        words.append(word)
    return jnp.stack(words)


def unpacked(key: UInt32[Array, " K"], radices: Sequence[int]) -> Int32[Array, " n"]:
    """The numbers of a key."""
    numbers = []
    # Number by number: XLA's optimised code for a vector of divisors, all different, was seen to be wrong
    # (jax 0.10.2, AVX2).
    for index, group in reversed(list(enumerate(word_groups(radices)))):
        word = key[index]
        for number in reversed(group):
            radix = np.uint32(radices[number])
            word, rest = word // radix, word % radix
            numbers.append(rest.astype(jnp.int32))
    return jnp.stack(numbers[::-1])


def thermometer(share: Float[Array, "..."], num_steps: int) -> Float[Array, "... steps"]:
    """A share of 1 as steps that fill up one after another; the step it ends in is filled in part."""
    filled = share[..., None] * num_steps - np.arange(num_steps, dtype=np.float32)
    return jnp.clip(filled, 0.0, 1.0).astype(jnp.float32)


def share_of(number: Int[Array, "..."], most: int) -> Float[Array, "..."]:
    """A number as a part of the most that it can be."""
    return number.astype(jnp.float32) / np.float32(max(most, 1))


def log_share_of(number: Int[Array, "..."], most: int) -> Float[Array, "..."]:
    """The same on a logarithmic scale, which tells small numbers apart."""
    return jnp.log1p(number.astype(jnp.float32)) / np.float32(math.log1p(max(most, 1)))


def orders_of(kinds: Sequence[int], max_orders: int) -> Int[np.ndarray, "S n"]:
    """Orders of things that keep every kind in its place, identity first; the identity alone if too many."""
    identity = np.arange(len(kinds), dtype=np.int32)
    alike = [np.flatnonzero(np.equal(kinds, kind)) for kind in sorted(set(kinds))]
    if math.prod(math.factorial(len(group)) for group in alike) > max_orders:
        return identity[None]
    orders = []
    for choice in itertools.product(*(itertools.permutations(group) for group in alike)):
        order = identity.copy()
        for group, permuted in zip(alike, choice, strict=True):
            order[group] = permuted
        orders.append(order)
    return np.stack(orders)
