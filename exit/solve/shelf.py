"""The layers of a solution under way: in memory, or in files from which a killed process goes on."""

import fcntl
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from exit.errors import UserError
from exit.solve.action_sets import set_dtype
from exit.solve.columns import (
    Column,
    FileColumn,
    FileWriter,
    MemoryWriter,
    Writer,
    abandoned_on_failure,
    remove_drafts,
)
from exit.solve.journal import Journal, Layer, has_journal, lock_of, read_journal, write_journal
from exit.solve.memory import MemoryLimit, TooLarge, disk_failure, require_disk
from exit.solve.space import Space
from exit.solve.threads import map_in_order
from exit.solve.values import Levels, Values


class Shelf:
    """Layers, and the room for them.

    Attributes:
      layers: by ply.
      complete: there are no more of them.
      levels: values that occur, where they are numbered.
      numbered: values are written as numbers of levels; False once there are too many.
      on_disk: layers are in files; else they are in memory.
    """

    def __init__(self, space: Space, limit: MemoryLimit, directory: Path | None) -> None:
        self.space, self.limit, self.directory = space, limit, directory
        self.layers: list[Layer] = []
        self.complete, self.on_disk = False, False
        self.levels, self.numbered = Levels(), True
        self._seconds, self._started = 0.0, time.perf_counter()
        self._lock: IO[str] | None = None

    @property
    def num_rows(self) -> int:
        """States kept, in all layers."""
        return sum(len(layer.keys) for layer in self.layers)

    @property
    def elapsed(self) -> float:
        """Seconds spent on the layers, by earlier processes too."""
        return self._seconds + time.perf_counter() - self._started

    def dtype_of(self, name: str) -> np.dtype:
        """The type of a column of what is known of states, as it is written now."""
        if name == "optimal":
            return set_dtype(self.space.game.num_actions)
        return np.dtype(np.uint8 if self.numbered else np.float64)

    def values_of(self, layer: Layer, rows: slice) -> Values:
        """Values of some states of a solved layer."""
        assert layer.values is not None, "layers are solved from the last to the first"
        data = layer.values[rows]
        return Values(data, self.levels.values if data.dtype == np.uint8 else None)

    def writer(self, name: str, dtype: np.dtype) -> Writer:
        """Takes a column."""
        if self.directory is None or not self.on_disk:
            return MemoryWriter(dtype)
        return FileWriter(self.directory, name, dtype)

    def write(self, name: str, dtype: np.dtype, parts: Iterable[np.ndarray]) -> Column:
        """A column of consecutive parts."""
        with self.writing():
            writer = self.writer(name, dtype)
            with abandoned_on_failure(writer):
                for part in parts:
                    writer.append(part)
                return writer.finish()

    def make_room(self, num_rows: int, ply: int, extra_bytes: int = 0) -> None:
        """Moves layers to disk if they, `num_rows` in all with one in the making, fill the memory.

        Raises:
          TooLarge: there is no disk to move them to.
        """
        if self.on_disk:
            return
        try:
            self.limit.check(num_rows, ply, extra_bytes)
        except TooLarge:
            if self.directory is None:
                raise
            self.move_to_disk()

    def move_to_disk(self) -> None:
        """Keeps the layers in files from now on; needs a directory."""
        with self.writing():
            self._open()
        self.on_disk = True
        for ply, layer in enumerate(self.layers):
            for name, column in layer.columns.items():
                setattr(layer, name, self.write(column_name(ply, name), column.dtype, [column[:]]))
        self.record()

    def require_disk(self) -> None:
        """Raises `TooLarge` unless the disk can take all that is to be said of the states found so far."""
        if self.on_disk and self.directory is not None:
            require_disk(self.space, self.directory, *self._to_come())

    def _to_come(self) -> tuple[int, str]:
        """Bytes that are still to be written, and for what."""
        written = sum(column.nbytes for layer in self.layers for column in layer.columns.values())
        needed = self.num_rows * self.limit.file_bytes - written
        return max(needed, 0), f"what is known of the {self.num_rows:,} states kept so far"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns a full disk into a `TooLarge` that says what is missing."""
        try:
            yield
        except OSError as error:
            if self.directory is None:
                raise
            raise disk_failure(error, self.space, self.directory, *self._to_come()) from error

    def record(self) -> None:
        """Lets a later process go on from here."""
        if self.on_disk and self.directory is not None:
            levels = self.levels.values.tolist()
            journal = Journal(self.layers, self.complete, levels, self.numbered, self.elapsed)
            with self.writing():
                write_journal(self.directory, self.space, journal)

    def resume(self) -> None:
        """Takes over what an earlier process left, as far as it is whole."""
        if self.directory is None or not has_journal(self.directory):
            return
        self._open()
        journal = read_journal(self.directory, self.space)
        if journal is None:
            self.clear()
            return
        self.on_disk = True
        self.layers, self.complete, self._seconds = journal.layers, journal.complete, journal.seconds
        self.levels, self.numbered = Levels(np.array(journal.levels)), journal.numbered
        self._drop_damaged()

    def _drop_damaged(self) -> None:
        """Forgets the columns that are not whole, and what was made from them."""
        files = [
            (ply, name, column)
            for ply, layer in enumerate(self.layers)
            for name, column in layer.columns.items()
            if isinstance(column, FileColumn)
        ]
        whole = list(map_in_order(lambda entry: entry[2].is_whole(), files)) if files else []
        damaged = [(ply, name) for (ply, name, _), fine in zip(files, whole, strict=True) if not fine]
        first_lost = min((ply for ply, name in damaged if name == "keys"), default=None)
        last_unsolved = max((ply for ply, name in damaged if name != "keys"), default=-1)
        if first_lost is not None:
            # Layers that have to be found anew have to be solved anew, and so have all before them.
            del self.layers[first_lost:]
            self.complete, last_unsolved = False, first_lost
            if self.layers:
                self.layers[-1].num_states = 0
        for layer in self.layers[: last_unsolved + 1]:
            layer.values = layer.optimal = None

    def _open(self) -> None:
        """Makes the directory this process's own."""
        if self.directory is None or self._lock is not None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = lock_of(self.directory).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise UserError(
                f"another process is solving {self.space.game.name} in {self.directory}; "
                "wait for it or stop it"
            ) from error
        self._lock = lock
        remove_drafts(self.directory)

    def clear(self) -> None:
        """Forgets everything, files included."""
        self.layers, self.complete, self.on_disk = [], False, False
        self.levels, self.numbered = Levels(), True
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.close()

    def clear_if_solved(self) -> None:
        """Removes the files of a solution that is complete, unless a process is at work on them."""
        if self.directory is None or not has_journal(self.directory):
            return
        try:
            self._open()
        except UserError:
            return
        journal = read_journal(self.directory, self.space)
        if journal and journal.complete and all(layer.optimal is not None for layer in journal.layers):
            self.clear()
        self.close()

    def close(self) -> None:
        """Lets another process go on."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def column_name(ply: int, name: str) -> str:
    """What the file of a layer's column is called."""
    return f"ply_{ply:04}.{name}"
