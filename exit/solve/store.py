"""Exact tables on disk: NumPy arrays beside a description that vouches for every byte of them.

A table's directory holds `meta.json` and one `.npy` file an array, named after its content. The
description is replaced last and in one step, so that a reader sees either the old table or the new one.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from exit.errors import UserError
from exit.game import Game
from exit.solve.keys import pack, unpack
from exit.solve.layers import ProgressFn
from exit.solve.solver import solve
from exit.solve.table import Table

FORMAT = 1
"""Version of the files; raised when they change."""

_META = "meta.json"
_READ_BYTES = 1 << 22


def table_directory(game: Game) -> Path:
    """Where the table of a game is kept: under XIT_CACHE_DIR, else XDG_CACHE_HOME/xit, else ~/.cache/xit."""
    if own := os.environ.get("XIT_CACHE_DIR"):
        root = Path(own)
    elif shared := os.environ.get("XDG_CACHE_HOME"):
        root = Path(shared) / "xit"
    else:
        root = Path.home() / ".cache" / "xit"
    return root / "tables" / game.name


def save_table(table: Table, directory: Path) -> Table:
    """Stores a table, in place of any older one there.

    Returns:
      The table, with its `directory`.

    Raises:
      OSError: the directory cannot be written; an older table there is still whole.
    """
    directory.mkdir(parents=True, exist_ok=True)
    arrays = {"keys": unpack(table.keys), "values": table.values, "terminal": table.terminal}
    files = {name: _save_array(directory, name, array) for name, array in arrays.items()}
    body = {
        **_identity(table.game),
        "states": len(table.keys),
        "states_by_ply": list(table.states_by_ply),
        "seconds": table.seconds,
        "peak_mb": table.peak_mb,
        "files": files,
    }
    text = json.dumps({"digest": _digest_of(_canonical(body)), "table": body}, indent=1)
    draft = directory / f".{_META}.{os.getpid()}"
    _write(draft, lambda file: file.write(text.encode()))
    draft.replace(directory / _META)
    _sync_directory(directory)
    for path in directory.glob("[!.]*.npy"):
        if path.name not in files.values():
            path.unlink(missing_ok=True)
    return replace(table, directory=directory)


def load_table(game: Game, directory: Path) -> Table:
    """Opens a stored table; its arrays stay on disk until they are used.

    Raises:
      UserError: there is no table, it is damaged, or it belongs to another game, version or format.
    """
    meta = directory / _META
    if not _has_table(directory):
        raise UserError(f"no table of {game.name} in {directory}; run `xit solve {game.name}`")
    body = _read_meta(game, meta)
    for field, expected in _identity(game).items():
        if body.get(field) != expected:
            raise _refusal(game, meta, f"has {field} {body.get(field)!r}, expected {expected!r}")
    keys, values, terminal = (_load_array(game, directory, body, name) for name in _ARRAYS)
    return Table(
        game=game,
        keys=pack(keys),
        values=values,
        terminal=terminal,
        states_by_ply=tuple(body["states_by_ply"]),
        seconds=body["seconds"],
        peak_mb=body["peak_mb"],
        directory=directory,
    )


def _read_meta(game: Game, path: Path) -> dict[str, Any]:
    """The description of a stored table."""
    try:
        stored = json.loads(path.read_bytes())
        body, digest = stored["table"], stored["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _refusal(game, path, "is damaged") from error
    if digest != _digest_of(_canonical(body)):
        raise _refusal(game, path, "is damaged")
    return body


def load_or_solve(
    game: Game,
    *,
    directory: Path | None = None,
    force: bool = False,
    max_bytes: int | None = None,
    progress_fn: ProgressFn | None = None,
    warn_fn: Callable[[str], None] = warnings.warn,
) -> Table:
    """The stored table of a game, or a new one, which is stored.

    A table that cannot be used is solved again, and a new one that cannot be stored is returned all the
    same, with no `directory`; `warn_fn` is told in one line.

    Args:
      directory: where the table is kept; `table_directory(game)` by default.
      force: solve even if there is a table.
      max_bytes, progress_fn: as in `solve`.
    """
    directory = directory or table_directory(game)
    if not force and _has_table(directory):
        try:
            return load_table(game, directory)
        except UserError as error:
            warn_fn(f"{error}; solving it again")
    table = solve(game, max_bytes=max_bytes, progress_fn=progress_fn)
    try:
        return save_table(table, directory)
    except OSError as error:
        reason = error.strerror or error
        warn_fn(f"the table of {game.name} could not be kept in {directory}: {reason}; set XIT_CACHE_DIR")
        return table


_ARRAYS = ("keys", "values", "terminal")


def _has_table(directory: Path) -> bool:
    """Whether there is a table, damaged or not; False where the directory may not be looked into."""
    try:
        return (directory / _META).exists()
    except OSError:
        return False


def _identity(game: Game) -> dict[str, Any]:
    """What must agree for a table to be used."""
    return {"format": FORMAT, "game": game.name, "version": game.version, "rules": repr(game)}


def _refusal(game: Game, path: Path, reason: str) -> UserError:
    return UserError(
        f"the table file {path} {reason}; delete {path.parent} or run `xit solve {game.name} --force`"
    )


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _digest_of(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _digest_of_file(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _write(path: Path, write_fn: Callable[[BinaryIO], object]) -> None:
    """Writes a file through to the disk, or leaves none."""
    try:
        with path.open("wb") as file:
            write_fn(file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync_directory(directory: Path) -> None:
    """Makes renamed files survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _save_array(directory: Path, name: str, array: np.ndarray) -> str:
    """Name of the file, which tells its content."""
    draft = directory / f".{name}.{os.getpid()}.npy"
    _write(draft, lambda file: np.save(file, array, allow_pickle=False))
    target = directory / f"{name}.{_digest_of_file(draft)}.npy"
    draft.replace(target)
    return target.name


def _load_array(game: Game, directory: Path, body: dict[str, Any], name: str) -> np.ndarray:
    path = directory / body["files"][name]
    try:
        digest = _digest_of_file(path)
    except OSError as error:
        raise _refusal(game, path, f"cannot be read ({error.strerror})") from error
    if path.name != f"{name}.{digest}.npy":
        raise _refusal(game, path, "is damaged")
    return np.load(path, mmap_mode="r", allow_pickle=False)
