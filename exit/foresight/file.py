"""An agent's foresight in a file beside the agent, and whether it is this agent's."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from exit.errors import UserError
from exit.foresight.heads import BUDGETS, Foresight
from exit.leaves import UNREADABLE, checksums, flatten, read_leaves, require_whole, write_leaves
from exit.network import Params
from exit.portable import SUFFIX as AGENT_SUFFIX

FORMAT = 1
"""Version of the file; raised when older ones can no longer be read."""

SUFFIX = ".foresight"


def foresight_path(source: Path) -> Path:
    """Where the foresight of an agent is kept: in its run directory, or beside its file."""
    return source.with_suffix(SUFFIX) if source.suffix == AGENT_SUFFIX else source / f"agent{SUFFIX}"


def save_foresight(path: Path, foresight: Foresight, params: Params) -> None:
    """Writes the foresight of these parameters, all or nothing.

    Raises:
      UserError: it cannot be written.
    """
    description = {"format": FORMAT, "budgets": BUDGETS, "agent": checksums(flatten(params))}
    try:
        write_leaves(path, flatten(foresight), description)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); free space or make it writable") from error


def load_foresight(path: Path, params: Params) -> Foresight | None:
    """The foresight kept in a file; None where there is none.

    Raises:
      UserError: the file is damaged, of another version, or of other parameters than these.
    """
    remedy = "`xit foresee` teaches the agent anew"
    try:
        description, arrays = read_leaves(path)
        known = description["format"] == FORMAT and tuple(description["budgets"]) == BUDGETS
        # Only then the rest, which another version may call otherwise.
        foresight = _whole(description, arrays) if known else None
        mine = known and description["agent"] == checksums(flatten(params))
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise UserError(f"{path} is damaged and left out; {remedy}") from error
    if foresight is None:
        raise UserError(f"{path} was written by another version of xit and is left out; {remedy}")
    if not mine:
        raise UserError(f"{path} is of another agent or of another iteration and is left out; {remedy}")
    return foresight


def _whole(description: dict[str, Any], arrays: dict[str, np.ndarray]) -> Foresight:
    """The foresight; raises what `UNREADABLE` names where it is damaged."""
    require_whole(description, arrays)
    return Foresight(**{name: jnp.asarray(leaf) for name, leaf in arrays.items()})
