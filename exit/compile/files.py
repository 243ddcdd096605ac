"""Artifacts on disk, all or nothing."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from exit.errors import UserError


def write_bytes(path: Path, write_fn: Callable[[IO[bytes]], object]) -> None:
    """Writes a file through a function; what was there stays whole if it fails.

    Raises:
      UserError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            write_fn(file)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise UserError(f"cannot write {path} ({error.strerror}); give another file with --out") from error


def require_writable(path: Path) -> None:
    """Makes sure before the work that a file can be written there.

    Raises:
      UserError: it cannot.
    """
    if path.is_dir():
        raise UserError(f"cannot write {path} (it is a directory); give a file with --out")
    is_new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); give another file with --out") from error
    # A command that fails is not to leave an empty file behind.
    if is_new:
        path.unlink()
