"""Exact values of single positions on disk, in an SQLite file whose rows vouch for themselves.

Values that were paid for once are kept, but never at the price of a command that stops: a file that is
damaged is set aside, and where nothing can be kept the work goes on without it.
"""

import hashlib
import json
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, UInt32

FORMAT = 1
"""Version of the files; raised when they change."""

_SECONDS_FOR_A_LOCK = 30.0
_ROWS_AT_ONCE = 500
_DIGEST_BYTES = 8
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TABLES = (
    "CREATE TABLE IF NOT EXISTS identity (text TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS qvalues (key BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID",
)

_Result = TypeVar("_Result")


class _Damaged(Exception):
    """A file that is no cache of these values."""


class QValueCache:
    """The values of each position's actions that were computed before, by the position's key.

    Several processes may use one file at a time.

    Attributes:
      path: the file, which need not exist.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any],
        num_actions: int,
        warn_fn: Callable[[str], None] = warnings.warn,
    ) -> None:
        """Opens nothing yet.

        Args:
          identity: what must agree for stored values to be used.
          warn_fn: told in one line of a file that was set aside, or of values that cannot be kept.
        """
        self.path = path
        self._identity = json.dumps({"format": FORMAT, **identity}, sort_keys=True)
        self._num_actions = num_actions
        self._warn_fn = warn_fn
        self._usable = True

    def look_up(self, keys: UInt32[np.ndarray, "n K"]) -> Float[np.ndarray, "n A"]:
        """Values of the positions' actions; rows of NaN where they are not known."""
        names = [key.tobytes() for key in keys]
        nothing = (np.nan,) * self._num_actions
        found = self._using(lambda connection: dict(self._stored(connection, names))) or {}
        rows = [found.get(name, nothing) for name in names]
        return np.array(rows, float).reshape(len(keys), self._num_actions)

    def add(self, keys: UInt32[np.ndarray, "n K"], qvalues: Float[np.ndarray, "n A"]) -> None:
        """Keeps values, all of them or none."""
        rows = [_row(key.tobytes(), values.tobytes()) for key, values in zip(keys, qvalues, strict=True)]
        self._using(
            lambda connection: connection.executemany("INSERT OR REPLACE INTO qvalues VALUES (?, ?)", rows)
        )

    def _stored(
        self, connection: sqlite3.Connection, names: list[bytes]
    ) -> Iterator[tuple[bytes, Float[np.ndarray, " A"]]]:
        """Values of those names that are stored."""
        for start in range(0, len(names), _ROWS_AT_ONCE):
            some = names[start : start + _ROWS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            rows = connection.execute(f"SELECT key, row FROM qvalues WHERE key IN ({marks})", some)
            for name, row in rows:
                content = row[_DIGEST_BYTES:]
                if _row(name, content)[1] != row or len(content) != 8 * self._num_actions:
                    raise _Damaged("values do not match their digest")
                yield name, np.frombuffer(content)

    def _using(self, work_fn: Callable[[sqlite3.Connection], _Result]) -> _Result | None:
        """What comes of the work in one transaction; None if the file cannot be used."""
        for _ in range(2):
            if not self._usable:
                break
            try:
                with self._opened() as connection:
                    return work_fn(connection)
            except (_Damaged, sqlite3.Error, OSError) as error:
                self._give_up(error)
        return None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the file, which is made where it is missing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=_SECONDS_FOR_A_LOCK, isolation_level=None)
        with closing(connection):
            # A lock that is taken at the start can be waited for; one that readers ask for later cannot.
            connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                connection.execute(statement)
            texts = connection.execute("SELECT text FROM identity").fetchall()
            if not texts:
                connection.execute("INSERT INTO identity VALUES (?)", (self._identity,))
            elif texts != [(self._identity,)]:
                raise _Damaged("it belongs to another game, library or version")
            yield connection
            connection.execute("COMMIT")

    def _give_up(self, error: Exception) -> None:
        """Sets a damaged file aside, so that a new one takes its place; other trouble ends its use."""
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, _Damaged) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            aside = self.path.with_name(f"{self.path.name}.damaged")
            try:
                self.path.replace(aside)
                # What a killed process left to be undone must not be undone in the next file.
                self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
            except OSError as failure:
                reason = f"{reason}; {failure.strerror}"
            else:
                self._warn_fn(f"{self.path} is now {aside.name} ({reason}); its values are computed again")
                return
        self._usable = False
        self._warn_fn(f"exact values cannot be kept in {self.path}: {reason}; set XIT_CACHE_DIR")


def _row(name: bytes, content: bytes) -> tuple[bytes, bytes]:
    """What is stored for a key: its values behind a digest of both."""
    return name, hashlib.blake2b(name + content, digest_size=_DIGEST_BYTES).digest() + content
