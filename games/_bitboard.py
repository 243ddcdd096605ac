"""Boards as bit strings kept in 32-bit words, low bits first: what the board games here have in common.

A board is a tuple of scalars rather than one array, so that a whole move fuses into one loop.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add, or_
from typing import SupportsInt

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int, UInt32

WORD_BITS = 32

Board = tuple[UInt32[Array, ""], ...]
"""Words of a bit string, lowest first."""

Boards = tuple[UInt32[Array, "..."], ...]
"""Boards of one size side by side, each word an array."""

Cells = tuple[np.uint32, ...]
"""A board that is known when the program is compiled."""


def num_words(num_bits: int) -> int:
    """Words that hold so many bits."""
    return -(-num_bits // WORD_BITS)


def cells(bits: int, size: int) -> Cells:
    """A whole number as a board of `size` words."""
    return tuple(np.uint32(bits >> WORD_BITS * k & 0xFFFFFFFF) for k in range(size))


def empty(size: int) -> Board:
    """A board of `size` words without a stone."""
    return tuple(jnp.uint32(0) for _ in range(size))


def both(left: Boards, right: Boards | Cells) -> Boards:
    """Bits that are in both boards."""
    return tuple(a & b for a, b in zip(left, right, strict=True))


def either(left: Boards, right: Boards | Cells) -> Boards:
    """Bits that are in at least one of two boards."""
    return tuple(a | b for a, b in zip(left, right, strict=True))


def without(left: Board, right: Board) -> Board:
    """Bits of the left board that are not in the right one."""
    return tuple(a & ~b for a, b in zip(left, right, strict=True))


def left_free(taken: Board, cells: Cells) -> Board:
    """The cells that are not taken."""
    return tuple(~a & b for a, b in zip(taken, cells, strict=True))


def chosen(condition: Bool[Array, "..."], left: Boards | Cells, right: Boards | Cells) -> Boards:
    """The left board where the condition holds, else the right one."""
    return tuple(jnp.where(condition, a, b) for a, b in zip(left, right, strict=True))


def is_empty(board: Boards) -> Bool[Array, "..."]:
    """Whether no bit is set."""
    return reduce(or_, board) == 0


def count(board: Board) -> Int[Array, ""]:
    """Number of bits set."""
    return reduce(add, (lax.population_count(word) for word in board)).astype(jnp.int32)


def widened(board: Board, size: int) -> Board:
    """The board in `size` words, which are at least as many."""
    return board + empty(size - len(board))


def shifted(board: Board, distance: int) -> Board:
    """The bit string moved up by `distance` bits, or down where negative; what leaves the words is lost."""
    skip, bits = divmod(distance, WORD_BITS)
    high, low = np.uint32(bits), np.uint32(WORD_BITS - bits)

    def word(place: int) -> UInt32[Array, ""]:
        parts = []
        if 0 <= place - skip < len(board):
            parts.append(board[place - skip] << high)
        if bits and 0 <= place - skip - 1 < len(board):
            parts.append(board[place - skip - 1] >> low)
        return reduce(or_, parts) if parts else jnp.uint32(0)

    return tuple(map(word, range(len(board))))


def stacked(boards: Sequence[Board | Cells]) -> Boards:
    """Boards side by side along a new leading axis."""
    return tuple(jnp.stack(words) for words in zip(*boards, strict=True))


def merged(boards: Boards) -> Board:
    """Bits that are in any of the boards along the leading axis."""
    return tuple(lax.reduce(word, np.uint32(0), lax.bitwise_or, (0,)) for word in boards)


def fanned(board: Boards, distances: Int[np.ndarray, " n"], *, up: bool) -> Boards:
    """The bit string moved by each of some distances below a word: one board along the axis for each."""
    near = distances.astype(np.uint32)
    far = np.uint32(WORD_BITS) - near

    def word(place: int) -> UInt32[Array, " n"]:
        moved = board[place] << near if up else board[place] >> near
        behind = place - 1 if up else place + 1
        if not 0 <= behind < len(board):
            return moved
        return moved | (board[behind] >> far if up else board[behind] << far)

    return tuple(map(word, range(len(board))))


def one_bit(place: Int[Array, ""], size: int) -> Board:
    """A board of `size` words with one bit set; none where the place is outside."""
    bit = jnp.uint32(1) << (place % WORD_BITS).astype(jnp.uint32)
    return tuple(jnp.where(place // WORD_BITS == k, bit, jnp.uint32(0)) for k in range(size))


def plane(board: Board, places: Int[np.ndarray, "..."]) -> Bool[Array, "..."]:
    """Whether the bit at each place is set."""
    words, bits = np.divmod(places, WORD_BITS)
    # Select among words rather than gather: it stays one fused loop, several times as fast.
    holding = reduce(lambda held, k: jnp.where(words == k, board[k], held), range(len(board)), jnp.uint32(0))
    return (holding >> bits.astype(np.uint32)) & 1 != 0


def packed(bits: Bool[Array, "... n"]) -> Boards:
    """The board whose bit i is `bits[..., i]`."""

    def word(start: int) -> UInt32[Array, "..."]:
        part = bits[..., start : start + WORD_BITS].astype(jnp.uint32)
        return jnp.sum(part << np.arange(part.shape[-1], dtype=np.uint32), axis=-1, dtype=jnp.uint32)

    return tuple(word(start) for start in range(0, bits.shape[-1], WORD_BITS))


def whole_number(board: Sequence[SupportsInt]) -> int:
    """The bits of a board, words of JAX or NumPy but no tracers, as a Python number."""
    return sum(int(word) << WORD_BITS * k for k, word in enumerate(board))
