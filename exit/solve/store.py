"""Exact tables on disk: columns beside a description that vouches for every byte of them.

A table's directory holds `meta.json` and one file a column, named after its content. The description is
replaced last and in one step, so that a reader sees either the old table or the new one.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from exit.errors import UserError
from exit.game import Game
from exit.solve.columns import (
    FileColumn,
    FileWriter,
    abandoned_on_failure,
    digest_of,
    remove_drafts,
    sync_directory,
    write_whole,
)
from exit.solve.journal import identity
from exit.solve.space import Space, space_of
from exit.solve.table import Figures, Table
from exit.solve.threads import map_in_order, row_slices
from exit.solve.values import Values

FORMAT = 2
"""Version of the files; raised when they change."""

_META = "meta.json"
_COLUMNS = ("keys", "values", "optimal")
_WRITTEN_ROWS = 1 << 20


class TableWriter:
    """Takes a table some rows at a time, beside any older one, which it replaces in the end.

    An `OSError` on the way, and `abandon`, leave the older one whole and nothing else.
    """

    def __init__(self, space: Space, directory: Path, dtypes: Sequence[np.dtype]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        remove_drafts(directory)
        self._space, self._directory = space, directory
        self._writers: list[FileWriter] = []
        try:
            for name, dtype in zip(_COLUMNS, dtypes, strict=True):
                self._writers.append(FileWriter(directory, name, dtype))
        except BaseException:
            self.abandon()
            raise

    def append(self, *columns: np.ndarray) -> None:
        """Takes the keys, values and optimal moves of some rows, whose keys come next."""
        for writer, column in zip(self._writers, columns, strict=True):
            writer.append(column)

    def abandon(self) -> None:
        """Leaves nothing behind."""
        for writer in self._writers:
            writer.abandon()

    def finish(self, figures: Figures, levels: np.ndarray | None) -> Table:
        """Puts the table in place of any older one; its arrays stay on disk until they are used."""
        columns = [writer.finish(through=True) for writer in self._writers]
        body = {
            **_identity(self._space),
            "figures": figures._asdict(),
            "levels": None if levels is None else levels.tolist(),
            "columns": {name: _described(column) for name, column in zip(_COLUMNS, columns, strict=True)},
        }
        text = json.dumps({"digest": _digest_of(body), "table": body}, indent=1)
        sync_directory(self._directory)
        write_whole(self._directory / _META, text.encode())
        named = {column.path for column in columns}
        for name in _COLUMNS:
            for path in self._directory.glob(f"{name}.*"):
                if path not in named:
                    path.unlink(missing_ok=True)
        return _opened(self._space, self._directory, body)


def save_table(table: Table, directory: Path) -> Table:
    """Stores a table, in place of any older one there.

    Returns:
      The table, with its `directory`.

    Raises:
      OSError: the directory cannot be written; an older table there is still whole.
    """
    columns = (table.keys, table.stored.data, table.optimal)
    writer = TableWriter(table.space, directory, [column.dtype for column in columns])
    with abandoned_on_failure(writer):
        for rows in row_slices(len(table.keys), _WRITTEN_ROWS):
            writer.append(*(column[rows] for column in columns))
        writer.finish(table.figures, table.stored.levels)
    return replace(table, directory=directory)


def has_table(directory: Path) -> bool:
    """Whether there is a table, damaged or not; False where the directory may not be looked into."""
    try:
        return (directory / _META).exists()
    except OSError:
        return False


def load_table(game: Game, directory: Path) -> Table:
    """Opens a stored table; its arrays stay on disk until they are used.

    Raises:
      UserError: there is no table, it is damaged, or it belongs to another game, version or format.
    """
    meta = directory / _META
    if not has_table(directory):
        raise UserError(f"no table of {game.name} in {directory}; run `xit solve {game.name}`")
    body = _read_meta(game, meta)
    space = Space(game) if body.get("symmetries") == 1 else space_of(game)
    for field, expected in _identity(space).items():
        if body.get(field) != expected:
            raise _refusal(game, meta, f"has {field} {body.get(field)!r}, expected {expected!r}")
    columns = [_column(directory, body, name) for name in _COLUMNS]
    for column, whole in zip(columns, map_in_order(FileColumn.is_whole, columns), strict=True):
        if not whole:
            raise _refusal(game, column.path, "is damaged or gone")
    return _opened(space, directory, body)


def _opened(space: Space, directory: Path, body: dict[str, Any]) -> Table:
    """The table that a description speaks of, its columns mapped."""
    keys, values, optimal = (_column(directory, body, name).mapped() for name in _COLUMNS)
    levels = None if body["levels"] is None else np.array(body["levels"], np.float64)
    figures = body["figures"] | {"states_by_ply": tuple(body["figures"]["states_by_ply"])}
    return Table(space, keys, Values(values, levels), optimal, Figures(**figures), directory)


def _described(column: FileColumn) -> dict[str, Any]:
    return {"file": column.path.name, "dtype": column.dtype.str, "length": column.length}


def _column(directory: Path, body: dict[str, Any], name: str) -> FileColumn:
    entry = body["columns"][name]
    return FileColumn.named(directory / entry["file"], np.dtype(entry["dtype"]), entry["length"])


def _read_meta(game: Game, path: Path) -> dict[str, Any]:
    """The description of a stored table."""
    try:
        stored = json.loads(path.read_bytes())
        body, digest = stored["table"], stored["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _refusal(game, path, "is damaged") from error
    if digest != _digest_of(body):
        raise _refusal(game, path, "is damaged")
    return body


def _identity(space: Space) -> dict[str, Any]:
    """What must agree for a table to be used."""
    return {"format": FORMAT, **identity(space)}


def _refusal(game: Game, path: Path, reason: str) -> UserError:
    return UserError(
        f"the table file {path} {reason}; delete {path.parent} or run `xit solve {game.name} --force`"
    )


def _digest_of(body: dict[str, Any]) -> str:
    return digest_of(json.dumps(body, sort_keys=True).encode())
