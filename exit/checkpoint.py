"""Checkpoints: everything a run is, written atomically, checked when read.

Orbax stays inside this file. A checkpoint is a set of named pytrees at an iteration. Orbax writes it
beside its final place and renames it, so a killed process leaves no half of one; a checksum of every
array tells a damaged file from a good one. It is imported where it is used, since that takes half a second,
and an agent that only acts has no use for it.
"""

import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exit.errors import UserError
from exit.leaves import checksum, flatten, unflatten

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

WarnFn = Callable[[str], None]
"""Told one line about something that went wrong and was got over."""

_FOLDER = "checkpoints"
_CHECKSUMS = "checksums"


class CheckpointError(UserError):
    """A checkpoint could not be written or read."""


def save(run_dir: Path, iteration: int, trees: Mapping[str, Any], *, keep: int) -> None:
    """Write named pytrees of arrays as the checkpoint of an iteration, and drop all but the last `keep`.

    Raises:
      CheckpointError: the disk is full or cannot be written; earlier checkpoints are as they were.
    """
    import orbax.checkpoint as ocp

    flat = {name: flatten(tree) for name, tree in trees.items()}
    checksums = {
        name: {path: checksum(leaf) for path, leaf in leaves.items()} for name, leaves in flat.items()
    }
    items: dict[str, Any] = {name: ocp.args.StandardSave(leaves) for name, leaves in flat.items()}
    items[_CHECKSUMS] = ocp.args.JsonSave(checksums)
    try:
        _require_space(run_dir, sum(leaf.nbytes for leaves in flat.values() for leaf in leaves.values()))
        with _quiet(), _manager(run_dir, keep=keep) as manager:
            manager.save(iteration, args=ocp.args.Composite(**items), force=True)
    # Orbax and its storage layer raise many types for one cause: the disk.
    except Exception as error:
        for partial in (run_dir / _FOLDER).glob("*.orbax-checkpoint-tmp"):
            shutil.rmtree(partial, ignore_errors=True)
        kept = steps(run_dir)
        last = f"the last good one is of iteration {kept[-1]}" if kept else "there is none yet"
        raise CheckpointError(
            f"could not write the checkpoint of iteration {iteration} in {run_dir} ({_one_line(error)}); "
            f"{last}; free space or choose another --run-dir, then run the same command again"
        ) from error


def steps(run_dir: Path) -> list[int]:
    """Iterations with a finished checkpoint, oldest first."""
    folder = run_dir / _FOLDER
    return (
        sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()) if folder.is_dir() else []
    )


def restore(run_dir: Path, iteration: int, templates: Mapping[str, Any]) -> dict[str, Any]:
    """Read named pytrees of one checkpoint; templates give their structure, shapes and dtypes.

    Raises:
      CheckpointError: it is missing, damaged, or of another structure.
    """
    import orbax.checkpoint as ocp

    flat = {name: flatten(tree, lazily=True) for name, tree in templates.items()}
    items: dict[str, Any] = {name: ocp.args.StandardRestore(leaves) for name, leaves in flat.items()}
    items[_CHECKSUMS] = ocp.args.JsonRestore()
    try:
        with _quiet(), _manager(run_dir, keep=None) as manager:
            found = manager.restore(iteration, args=ocp.args.Composite(**items))
        trees = {name: _checked(found[name], found[_CHECKSUMS][name], flat[name]) for name in templates}
    # Damage shows as whatever the storage layer trips over first.
    except Exception as error:
        raise CheckpointError(
            f"checkpoint {run_dir / _FOLDER / str(iteration)} is damaged or of another run{_reason(error)}"
        ) from error
    return {name: unflatten(templates[name], leaves) for name, leaves in trees.items()}


def restore_latest(
    run_dir: Path, templates: Mapping[str, Any], *, warn_fn: WarnFn, set_aside: bool
) -> tuple[int, dict[str, Any]] | None:
    """Read the newest checkpoint that is whole; None if there is no checkpoint at all.

    A damaged one is reported through `warn_fn` and the one before it is used.

    Args:
      set_aside: rename damaged ones out of the way, for the process that trains in the directory. Where
        none is whole all stay as they are, so that the next start does not take the run for a new one.

    Raises:
      CheckpointError: there are checkpoints, and not one can be read.
    """
    found = steps(run_dir)
    damaged: dict[int, CheckpointError] = {}
    for iteration in reversed(found):
        try:
            trees = restore(run_dir, iteration, templates)
        except CheckpointError as error:
            damaged[iteration] = error
            continue
        for number, error in damaged.items():
            aside = f"; {_set_aside(run_dir / _FOLDER / str(number))}" if set_aside else ""
            warn_fn(f"{error}{aside}, using the one of iteration {iteration}")
        return iteration, trees
    # A run that goes on may have replaced what was just listed.
    if found and steps(run_dir) != found:
        return restore_latest(run_dir, templates, warn_fn=warn_fn, set_aside=set_aside)
    if found:
        raise CheckpointError(
            f"no checkpoint in {run_dir / _FOLDER} can be read, the newest because {damaged[found[-1]]}; "
            "restore one from a copy, or train anew in another directory"
        ) from damaged[found[-1]]
    return None


def _manager(run_dir: Path, *, keep: int | None) -> "ocp.CheckpointManager":
    import orbax.checkpoint as ocp

    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, enable_async_checkpointing=False, cleanup_tmp_directories=keep is not None
    )
    return ocp.CheckpointManager((run_dir / _FOLDER).absolute(), options=options)


def _require_space(run_dir: Path, num_bytes: int) -> None:
    """Raise OSError where so many bytes do not fit, before half of them are written."""
    free = shutil.disk_usage(run_dir).free
    if free < num_bytes:
        raise OSError(f"no space left on the disk: {num_bytes / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free")


def _checked(
    leaves: Mapping[str, Any], checksums: Mapping[str, str], templates: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The leaves as arrays, each as it was when it was written and as its template wants it."""
    arrays = {path: np.asarray(leaf) for path, leaf in leaves.items()}
    for path, leaf in arrays.items():
        if checksum(leaf) != checksums[path]:
            raise ValueError(f"checksum of {path} differs")
        wanted = templates[path]
        if (leaf.shape, leaf.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(f"{path} is {leaf.dtype}{leaf.shape}, not {wanted.dtype}{wanted.shape}")
    return arrays


def _set_aside(folder: Path) -> str:
    """Rename a damaged checkpoint so that no reader takes it for one; tells what became of it."""
    number = 0
    while (aside := folder.with_name(f"{folder.name}.damaged{number or ''}")).exists():
        number += 1
    try:
        folder.rename(aside)
    except OSError as error:
        # Readers may have no right to write.
        return f"not set aside ({error.strerror})"
    return f"set aside as {aside.name}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Orbax logs what it raises, traceback and all; what it raises says enough."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


def _reason(error: Exception) -> str:
    """Why, where that can be said in a line; what the storage layer says at length is for its traceback."""
    said = str(error).strip()
    return f" ({said})" if said and "\n" not in said and len(said) <= 100 else ""


def _one_line(error: Exception) -> str:
    """The first line of an error, shortened in the middle: the reason stands at its end."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= 160 else f"{lines[0][:70]} ... {lines[0][-80:]}"
