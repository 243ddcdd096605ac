"""Trees of arrays as arrays by path: how they are kept in files, and how damage to them shows."""

import contextlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file, or one of something else, may raise."""

_DESCRIPTION = "description"


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


def write_leaves(path: Path, leaves: Mapping[str, np.ndarray], description: Mapping[str, Any]) -> None:
    """Writes arrays, their checksums and a description, in JSON's types, all or nothing.

    The file is NumPy's `.npz` without pickled objects.

    Raises:
      OSError: it cannot be written; a file that was there is still whole.
    """
    described = {**description, "checksums": checksums(leaves)}
    content = {_DESCRIPTION: np.frombuffer(json.dumps(described).encode(), np.uint8), **leaves}
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez_compressed(file, **content)
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def read_leaves(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The description and the arrays of a file; one of `UNREADABLE` where it has none."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
        arrays = dict(content)
    return json.loads(arrays.pop(_DESCRIPTION).tobytes()), arrays


def require_whole(description: Mapping[str, Any], leaves: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError unless every array is as it was when it was written."""
    if checksums(leaves) != description["checksums"]:
        raise ValueError("checksums differ")


def checksums(leaves: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Of every array."""
    return {name: checksum(leaf) for name, leaf in leaves.items()}
