"""How much memory and disk the solver may fill."""

import errno
import shutil
from pathlib import Path
from typing import NamedTuple

from exit.errors import UserError
from exit.memory import available_bytes
from exit.solve.action_sets import set_dtype
from exit.solve.space import Space

_SHARE_OF_AVAILABLE = 0.8
_UNREADABLE = 10**15
_VALUE_BYTES = 8
_SPARED_BYTES = 1 << 30
"""Of a disk: left to everything else."""


class TooLarge(UserError):
    """The states of a game do not fit in the memory, or on the disk, allowed."""


class MemoryLimit(NamedTuple):
    """A bound on the solver's arrays over states; its working set for one chunk, about 100 MB, comes on top.

    Attributes:
      max_bytes: what those arrays may fill.
      key_bytes: of one key.
    """

    space: Space
    max_bytes: int
    key_bytes: int

    @property
    def set_bytes(self) -> int:
        """Of one set of optimal moves."""
        return set_dtype(self.space.game.num_actions).itemsize

    @property
    def row_bytes(self) -> int:
        """What one kept state costs when the arrays are fullest: while layers become a table."""
        return 2 * (2 * self.key_bytes + _VALUE_BYTES + self.set_bytes)

    @property
    def file_bytes(self) -> int:
        """What one kept state costs on disk, in its layer and in the table."""
        return 2 * (self.key_bytes + 1 + self.set_bytes)

    @property
    def _fitting(self) -> int:
        return self.max_bytes // self.row_bytes * self.space.num_images

    def check_known(self, num_states: int) -> None:
        """Raises `TooLarge` if the game, known to have so many states, does not fit."""
        if num_states // self.space.num_images * self.row_bytes > self.max_bytes:
            count = f"{num_states:,}" if num_states < _UNREADABLE else f"about {num_states:.0e}"
            raise TooLarge(
                f"{self.space.game.name} does not fit in memory: it has {count} states, about "
                f"{self._fitting:,} fit in the {self.max_bytes / 1e6:,.1f} MB allowed; "
                "choose a smaller game or allow more memory"
            )

    def check(self, num_rows: int, ply: int, extra_bytes: int = 0) -> None:
        """Raises `TooLarge` if the states kept so far, and `extra_bytes` beside them, do not fit."""
        needed = num_rows * self.row_bytes + extra_bytes
        if needed > self.max_bytes:
            found = num_rows * self.space.num_images
            raise TooLarge(
                f"{self.space.game.name} does not fit in memory: about {self._fitting:,} states fit in the "
                f"{self.max_bytes / 1e6:,.1f} MB allowed, {found:,} were found by ply {ply} "
                f"(at least {needed / 1e6:,.1f} MB); choose a smaller game or allow more memory"
            )


def memory_limit(space: Space, key_bytes: int, max_bytes: int | None) -> MemoryLimit:
    """The limit given, or most of what is available."""
    if max_bytes is None:
        max_bytes = int(available_bytes() * _SHARE_OF_AVAILABLE)
    return MemoryLimit(space, max_bytes, key_bytes)


def require_disk(space: Space, directory: Path, num_bytes: int, why: str) -> None:
    """Raises `TooLarge` if a directory's disk cannot take so many more bytes."""
    free = shutil.disk_usage(next(path for path in (directory, *directory.parents) if path.exists())).free
    if num_bytes > free - _SPARED_BYTES:
        raise _disk_is_full(space, directory, num_bytes, f"{why} ({free / 1e9:,.3f} GB are free)")


def disk_failure(error: OSError, space: Space, directory: Path, num_bytes: int, why: str) -> Exception:
    """What to raise when writing to a directory failed, where so many bytes were still to be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_is_full(space, directory, num_bytes, why)
    return UserError(f"{space.game.name} cannot be solved in {directory}: {error.strerror or error}")


def _disk_is_full(space: Space, directory: Path, num_bytes: int, why: str) -> TooLarge:
    return TooLarge(
        f"{space.game.name} does not fit on the disk of {directory}: at least {num_bytes / 1e9:,.3f} GB more "
        f"are needed for {why}; make room and run the same command again, which goes on where this one "
        "stopped, or set XIT_CACHE_DIR to another disk"
    )
