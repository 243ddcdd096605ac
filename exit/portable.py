"""A trained agent in one file: its network's averaged parameters as plain arrays, and what they belong to.

The file is NumPy's `.npz` without pickled objects: an array for each parameter, by its dotted path, and
`description`, JSON as bytes. A checksum of every array tells a damaged file from a good one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from exit.errors import UsageError, UserError
from exit.leaves import UNREADABLE, flatten, read_leaves, require_whole, unflatten, write_leaves
from exit.network import Params
from exit.rundir import RunInfo

FORMAT = 1
"""Version of the file; raised when older ones can no longer be read."""

SUFFIX = ".npz"
_SNAPSHOTS = "snapshots"


class Portable(NamedTuple):
    """What a file holds.

    Attributes:
      info: the configuration that the agent was trained by.
      step: iteration that it was taken from.
      leaves: parameters by dotted path.
    """

    info: RunInfo
    step: int
    leaves: Mapping[str, np.ndarray]


def save_portable(path: Path, info: RunInfo, step: int, params: Params) -> None:
    """Writes an agent's file, all or nothing.

    Raises:
      UserError: it cannot be written.
    """
    description = {"format": FORMAT, **info._asdict(), "step": step}
    try:
        write_leaves(path, flatten(params), description)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); give another file") from error


def rounded(params: Params) -> Params:
    """Floating-point parameters of bfloat16's precision, in their own type.

    Half the bits of a float32 are zero then, and are compressed to nothing.
    """
    return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16).astype(leaf.dtype), params)


def load_portable(path: Path) -> Portable:
    """Reads an agent's file.

    Raises:
      UsageError: there is no such file, it holds no agent, or it is of another version or damaged.
    """
    try:
        description, arrays = read_leaves(path)
        version = description["format"]
        # Only then the rest, which another version may call otherwise.
        found = _checked(description, arrays) if version == FORMAT else None
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}; `xit export` makes one from a run") from error
    except UNREADABLE as error:
        raise UsageError(f"{path} is damaged or holds no agent; export it anew or restore it") from error
    if found is None:
        raise UsageError(
            f"{path} was written by another version of xit (layout {version}, this one reads {FORMAT}); "
            "export it anew, or use the version that wrote it"
        )
    return found


def snapshot_path(run_dir: Path, iteration: int) -> Path:
    """Where a run keeps its agent as it was after an iteration."""
    return run_dir / _SNAPSHOTS / f"{iteration:08}{SUFFIX}"


def snapshot_iterations(run_dir: Path) -> list[int]:
    """Iterations of which a run keeps its agent, rising."""
    return sorted(int(path.stem) for path in (run_dir / _SNAPSHOTS).glob(f"[0-9]*{SUFFIX}"))


def params_of(
    portable: Portable, template: Params, path: Path, settings: Mapping[str, Any] | None = None
) -> Params:
    """The parameters in the shape of a network's.

    Args:
      template: parameters, or their shapes.
      path: of the file, for the error.
      settings: of the configuration that the network is of, for the error to say what differs.

    Raises:
      UsageError: they are of another network.
    """
    wanted = {name: (leaf.shape, leaf.dtype) for name, leaf in flatten(template, lazily=True).items()}
    if wanted != {name: (leaf.shape, leaf.dtype) for name, leaf in portable.leaves.items()}:
        there, here = portable.info.settings, settings or {}
        differing = [
            f"{name} {there.get(name, 'nothing')}, not {here.get(name, 'nothing')}"
            for name in dict.fromkeys([*there, *here])
            if name.startswith(("game.", "network.")) and there.get(name) != here.get(name)
        ]
        what = f" (its {'; its '.join(differing)})" if settings and differing else ""
        raise UsageError(
            f"{path} holds the parameters of another network or game than the configuration's{what}; take "
            f"the same game and network settings, as `{portable.info.config_name}` may have, or another file"
        )
    return unflatten(template, portable.leaves)


def _checked(description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Portable:
    """What the file says, if every array is as it was when it was written; else raises ValueError."""
    require_whole(description, arrays)
    info = RunInfo(description["config_name"], tuple(description["overrides"]), dict(description["settings"]))
    return Portable(info, int(description["step"]), arrays)
