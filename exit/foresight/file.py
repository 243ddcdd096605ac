"""An agent's foresight in a file beside the agent, and whether it is this agent's."""

import contextlib
import json
import zipfile
import zlib
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from exit.errors import UserError
from exit.foresight.heads import BUDGETS, Foresight
from exit.leaves import checksum, flatten
from exit.network import Params
from exit.portable import SUFFIX as AGENT_SUFFIX

FORMAT = 1
"""Version of the file; raised when older ones can no longer be read."""

SUFFIX = ".foresight"
_DESCRIPTION = "description"


def foresight_path(source: Path) -> Path:
    """Where the foresight of an agent is kept: in its run directory, or beside its file."""
    return source.with_suffix(SUFFIX) if source.suffix == AGENT_SUFFIX else source / f"agent{SUFFIX}"


def save_foresight(path: Path, foresight: Foresight, params: Params) -> None:
    """Writes the foresight of these parameters, all or nothing.

    Raises:
      UserError: it cannot be written.
    """
    arrays = flatten(foresight)
    description = {
        "format": FORMAT,
        "budgets": BUDGETS,
        "agent": _sums(flatten(params)),
        "checksums": _sums(arrays),
    }
    content = {_DESCRIPTION: np.frombuffer(json.dumps(description).encode(), np.uint8), **arrays}
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **content)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise UserError(f"cannot write {path} ({error.strerror}); free space or make it writable") from error


def load_foresight(path: Path, params: Params) -> Foresight | None:
    """The foresight kept in a file; None where there is none.

    Raises:
      UserError: the file is damaged, of another version, or of other parameters than these.
    """
    remedy = "`xit foresee` teaches the agent anew"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = dict(content)
        description = json.loads(arrays.pop(_DESCRIPTION).tobytes())
        known = description["format"] == FORMAT and tuple(description["budgets"]) == BUDGETS
        whole = not known or _sums(arrays) == description["checksums"]
        mine = known and description["agent"] == _sums(flatten(params))
        foresight = Foresight(**{name: jnp.asarray(leaf) for name, leaf in arrays.items()}) if known else None
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is damaged and left out; {remedy}") from error
    if not whole:
        raise UserError(f"{path} is damaged and left out; {remedy}")
    if foresight is None:
        raise UserError(f"{path} was written by another version of xit and is left out; {remedy}")
    if not mine:
        raise UserError(f"{path} is of another agent or of another iteration and is left out; {remedy}")
    return foresight


def _sums(arrays: dict[str, np.ndarray]) -> dict[str, str]:
    return {name: checksum(leaf) for name, leaf in arrays.items()}
