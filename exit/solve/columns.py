"""One number a state: in memory, or in a file of nothing else that is named after its content."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

_READ_BYTES = 1 << 22


@runtime_checkable
class Column(Protocol):
    """Numbers of n states, read slice by slice; a NumPy array is one, and so is a file."""

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def nbytes(self) -> int: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


@dataclass(frozen=True)
class FileColumn:
    """A column on disk. Slices are read, not mapped, so that they count as this process's memory no longer
    than they are held.

    Attributes:
      digest: of the content.
    """

    path: Path
    dtype: np.dtype
    length: int
    digest: str

    @classmethod
    def named(cls, path: Path, dtype: np.dtype, length: int) -> "FileColumn":
        """The column of a file whose name ends in the digest of what was written."""
        return cls(path, dtype, length, path.suffix[1:])

    @property
    def nbytes(self) -> int:
        return self.length * self.dtype.itemsize

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        start, stop, _ = rows.indices(self.length)
        content = np.fromfile(
            self.path, np.uint8, (stop - start) * self.dtype.itemsize, offset=start * self.dtype.itemsize
        )
        return content.view(self.dtype)

    def mapped(self) -> np.ndarray:
        """The column as an array whose pages are read when they are touched."""
        return np.asarray(np.memmap(self.path, np.uint8, "r", shape=(self.nbytes,))).view(self.dtype)

    def is_whole(self) -> bool:
        """Whether the file holds what was written to it."""
        try:
            return self.path.stat().st_size == self.nbytes and digest_of_file(self.path) == self.digest
        except OSError:
            return False


@runtime_checkable
class Abandonable(Protocol):
    """Something half-written."""

    def abandon(self) -> None: ...


@runtime_checkable
class Writer(Abandonable, Protocol):
    """Takes a column piece by piece."""

    def append(self, part: Shaped[np.ndarray, " _"]) -> None: ...

    def finish(self) -> Column: ...


class MemoryWriter:
    """A column that stays in memory."""

    def __init__(self, dtype: np.dtype) -> None:
        self._parts = [np.empty(0, dtype)]

    def append(self, part: Shaped[np.ndarray, " _"]) -> None:
        self._parts.append(part)

    def finish(self) -> Column:
        parts = [part for part in self._parts if len(part)] or self._parts
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def abandon(self) -> None:
        self._parts = self._parts[:1]


class FileWriter:
    """A column that goes to disk; the file has its name only when it is whole."""

    def __init__(self, directory: Path, name: str, dtype: np.dtype) -> None:
        self._directory, self._name, self._dtype = directory, name, dtype
        self._draft = directory / f".{name}.{os.getpid()}.draft"
        self._file = self._draft.open("wb")
        self._digest, self._length = _new_digest(), 0

    def append(self, part: Shaped[np.ndarray, " _"]) -> None:
        content = np.ascontiguousarray(part, self._dtype).view(np.uint8)
        self._file.write(content.data)
        self._digest.update(content.data)
        self._length += len(part)

    def finish(self, *, through: bool = False) -> FileColumn:
        """The column; `through` waits until a power cut could not undo it."""
        self._file.flush()
        if through:
            os.fsync(self._file.fileno())
        self._file.close()
        digest = self._digest.hexdigest()
        path = self._directory / f"{self._name}.{digest}"
        self._draft.replace(path)
        return FileColumn(path, self._dtype, self._length, digest)

    def abandon(self) -> None:
        """Leaves no file."""
        self._file.close()
        self._draft.unlink(missing_ok=True)


@contextmanager
def abandoned_on_failure(*writers: Abandonable) -> Iterator[None]:
    """Leaves nothing half-written behind."""
    try:
        yield
    except BaseException:
        for writer in writers:
            writer.abandon()
        raise


def remove_drafts(directory: Path) -> None:
    """Removes what processes that are no more left half-written."""
    for path in directory.glob(".*.draft"):
        if not _is_running(int(path.name.split(".")[-2])):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _new_digest() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=16)


def digest_of(content: bytes) -> str:
    """What names a content."""
    digest = _new_digest()
    digest.update(content)
    return digest.hexdigest()


def digest_of_file(path: Path) -> str:
    """`digest_of` the content of a file."""
    digest = _new_digest()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Replaces a file in one step, through to the disk; on failure the older one is still whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            _write_through(file, content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _write_through(file: BinaryIO, content: bytes) -> None:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Makes renamed files survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
