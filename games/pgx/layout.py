"""A Pgx state as a few words: the fields that can still matter, each entry in as few bits as it needs."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import partial_eval
from jaxtyping import Array, Int, UInt32

PgxEnvState = Any
"""A state of Pgx's own; of its `Env` little is used but `init`, `step` and `observe`."""

SHOWN = frozenset(("current_player", "rewards", "terminated", "truncated", "legal_action_mask"))
"""Fields of every Pgx state that say what a step did; `observe` says the rest."""

_BITS = (32, 16, 8, 4, 2, 1)
_BITS_OF_TYPES = {"bool": 1, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16}
_WORDS = ("int32", "uint32", "float32")


class Field(NamedTuple):
    """One array of a Pgx state.

    Attributes:
      path: where it is, as in `_x.board`.
      bits: of each entry.
      low: least entry; it is stored as 0.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    bits: int
    low: int

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


class Layout(NamedTuple):
    """How states of one game are stored.

    Attributes:
      kept: fields that are stored, the widest entries first.
      zeros: a state of the same type, all zero.
    """

    kept: tuple[Field, ...]
    zeros: PgxEnvState

    @property
    def groups(self) -> list[tuple[int, list[Field]]]:
        """Fields of each width, the widest first."""
        by_width = ((bits, [field for field in self.kept if field.bits == bits]) for bits in _BITS)
        return [(bits, fields) for bits, fields in by_width if fields]


class Dependence(NamedTuple):
    """What the future of a state depends on.

    Attributes:
      paths: fields of the state.
      on_key: whether the random key of a step does anything.
    """

    paths: frozenset[str]
    on_key: bool


def leaves_by_path(state: PgxEnvState) -> dict[str, Any]:
    """The arrays of a Pgx state, named as in `_x.board`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path).removeprefix("."): leaf for path, leaf in leaves}


def dependence(env: Any, state: PgxEnvState) -> Dependence:
    """Which fields of a state what is legal, rewarded or observed can come to depend on.

    A field matters if it is shown or observed now, or if a step makes something of it that matters. What no
    such field is computed from is found by dead-code elimination in the traced programs, so a field may be
    kept in vain but is never dropped in vain.
    """
    paths = list(leaves_by_path(state))
    action, rng_key = jax.ShapeDtypeStruct((), jnp.int32), jax.eval_shape(lambda: jax.random.key(0))
    step = jax.make_jaxpr(env.step)(state, action, rng_key).jaxpr
    observe = jax.make_jaxpr(env.observe)(state).jaxpr
    _, observed = partial_eval.dce_jaxpr(observe, [True])
    found: set[str] = {path for path, used in zip(paths, observed, strict=True) if used}
    while True:
        _, used_inputs = partial_eval.dce_jaxpr(step, [path in found | SHOWN for path in paths])
        used = {path for path, is_used in zip(paths, used_inputs, strict=False) if is_used}
        if used <= found:
            return Dependence(frozenset(found), used_inputs[-1])
        found |= used


def layout_of(state: PgxEnvState, paths: frozenset[str], ranges: Mapping[str, tuple[int, int]]) -> Layout:
    """How to store these fields of states like this one (arrays or shapes).

    Raises:
      ValueError: a field is of a type that has no place in words.
    """
    kept = [
        _field(path, leaf, ranges.get(path)) for path, leaf in leaves_by_path(state).items() if path in paths
    ]
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
    return Layout(tuple(sorted(kept, key=lambda field: -field.bits)), zeros)


def _field(path: str, leaf: Any, limits: tuple[int, int] | None) -> Field:
    dtype = np.dtype(leaf.dtype)
    if limits is not None:
        low, high = limits
        bits = min(bits for bits in _BITS if high - low < 1 << bits)
        return Field(path, leaf.shape, dtype, bits, low)
    if dtype.name in _WORDS:
        return Field(path, leaf.shape, dtype, 32, 0)
    if dtype.name not in _BITS_OF_TYPES:
        raise ValueError(
            f"field {path} of its state is of {dtype}; {', '.join((*_WORDS, *_BITS_OF_TYPES))} can be stored"
        )
    low = np.iinfo(dtype).min if dtype.kind == "i" else 0
    return Field(path, leaf.shape, dtype, _BITS_OF_TYPES[dtype.name], int(low))


def pack(layout: Layout, state: PgxEnvState) -> UInt32[Array, " K"]:
    """The words of a state."""
    leaves = leaves_by_path(state)
    words = []
    for bits, fields in layout.groups:
        # Uncompiled, Pgx leaves a plain number in some fields.
        arrays = [jnp.asarray(leaves[field.path], field.dtype) for field in fields]
        entries = jnp.concatenate([_entries(*pair) for pair in zip(fields, arrays, strict=True)])
        per_word = 32 // bits
        rows = jnp.pad(entries, (0, -len(entries) % per_word)).reshape(-1, per_word)
        words.append(jnp.sum(rows << _shifts(bits), axis=1, dtype=jnp.uint32))
    return jnp.concatenate(words)


def unpack(layout: Layout, words: UInt32[Array, " K"]) -> PgxEnvState:
    """The state of these words; fields that are not stored are zero."""
    leaves = leaves_by_path(layout.zeros)
    start = 0
    for bits, fields in layout.groups:
        size = sum(field.size for field in fields)
        num_words = -(-size * bits // 32)
        rows = words[start : start + num_words, None] >> _shifts(bits)
        entries = (rows & jnp.uint32((1 << bits) - 1)).reshape(-1)
        start += num_words
        offset = 0
        for field in fields:
            leaves[field.path] = _values(field, entries[offset : offset + field.size])
            offset += field.size
    return jax.tree.unflatten(jax.tree.structure(layout.zeros), map(jnp.asarray, leaves.values()))


def _shifts(bits: int) -> UInt32[np.ndarray, " P"]:
    return np.arange(0, 32, bits, dtype=np.uint32)


def _entries(field: Field, leaf: Array) -> UInt32[Array, " n"]:
    """The entries of a field as numbers of its width."""
    if field.bits == 32:
        return jax.lax.bitcast_convert_type(leaf, jnp.uint32).reshape(-1)
    stored = (leaf.astype(jnp.int32) - field.low).astype(jnp.uint32)
    return (stored & jnp.uint32((1 << field.bits) - 1)).reshape(-1)


def _values(field: Field, entries: UInt32[Array, " n"]) -> Int[Array, "..."] | Array:
    """The field whose entries are these."""
    if field.bits == 32:
        return jax.lax.bitcast_convert_type(entries, field.dtype).reshape(field.shape)
    return (entries.astype(jnp.int32) + field.low).astype(field.dtype).reshape(field.shape)
