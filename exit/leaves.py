"""Trees of arrays as arrays by path: how they are kept in files, and how damage to them shows."""

import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def flatten(tree: Any, *, lazily: bool = False) -> dict[str, np.ndarray]:
    """Leaves by dotted path.

    Args:
      lazily: leaves of the same shapes and types that take no memory; the tree may hold shapes alone.
    """
    if lazily:
        tree = jax.tree.map(_empty, tree)
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in leaves}


def unflatten(template: Any, leaves: Mapping[str, np.ndarray]) -> Any:
    """A tree shaped like the template, from leaves by path."""
    paths = flatten(template, lazily=True)
    return jax.tree.unflatten(jax.tree.structure(template), [leaves[path] for path in paths])


def _empty(leaf: Any) -> np.ndarray:
    """An array of the leaf's shape and type that takes no memory to speak of."""
    return np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)


def checksum(leaf: np.ndarray) -> str:
    """Type, shape and CRC-32 of an array."""
    return f"{leaf.dtype}{list(leaf.shape)}:{zlib.crc32(np.ascontiguousarray(leaf).tobytes()):08x}"
