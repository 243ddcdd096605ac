"""Sets of actions, a bit for each, one number a state."""

import numpy as np
from jaxtyping import Bool, Int, Shaped

_WORD_BITS = 64

ActionSets = Shaped[np.ndarray, " n"]
"""Unsigned numbers whose bit a stands for action a; beyond 64 actions, several such numbers as one void."""


def set_dtype(num_actions: int) -> np.dtype:
    """The smallest type that holds a set."""
    for size in (8, 16, 32, _WORD_BITS):
        if num_actions <= size:
            return np.dtype(f"u{size // 8}")
    return np.dtype((np.void, 8 * -(-num_actions // _WORD_BITS)))


def pack_sets(chosen: Bool[np.ndarray, "A n"]) -> ActionSets:
    """One set a state from one row an action."""
    dtype = set_dtype(len(chosen))
    if dtype.kind == "u":
        return _packed_words(chosen, dtype)
    words = [
        _packed_words(chosen[start : start + _WORD_BITS], np.dtype(np.uint64))
        for start in range(0, len(chosen), _WORD_BITS)
    ]
    return np.ascontiguousarray(np.stack(words, axis=1)).view(dtype)[:, 0]


def has_action(sets: ActionSets, action: int | Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Whether each set has an action, the same one or one for each."""
    if sets.dtype.kind == "u":
        return (sets >> np.asarray(action, sets.dtype)) & sets.dtype.type(1) != 0
    words = np.ascontiguousarray(sets).view(np.uint64).reshape(len(sets), -1)
    word, bit = np.divmod(action, _WORD_BITS)
    return (words[np.arange(len(sets)), word] >> np.asarray(bit, np.uint64)) & np.uint64(1) != 0


def is_empty(sets: ActionSets) -> Bool[np.ndarray, " n"]:
    """Whether a set has no action."""
    return sets == np.zeros(1, sets.dtype)


def _packed_words(chosen: Bool[np.ndarray, "bits n"], dtype: np.dtype) -> Shaped[np.ndarray, " n"]:
    words = np.zeros(chosen.shape[1], dtype)
    for bit, row in enumerate(chosen):
        words |= row.astype(dtype) << dtype.type(bit)
    return words
