"""Sorted columns merged range by range, so that only a few ranges are in memory at a time."""

from collections.abc import Iterator, Sequence

import numpy as np

from exit.solve.columns import Column, FileColumn
from exit.solve.keys import Keys, range_bounds, range_cuts, ranges_between, sample_step, union
from exit.solve.memory import MemoryLimit
from exit.solve.shelf import Shelf
from exit.solve.threads import map_in_order

_SHARE_A_RANGE = 32
_MIN_RANGE_BYTES, _MAX_RANGE_BYTES = 1 << 16, 1 << 26
_SHARE_OF_RUN = 8
_SHARE_OF_PENDING = 16


def ranges_of(columns: Sequence[Column], row_bytes: int, limit: MemoryLimit) -> list[list[slice]]:
    """Slices of several columns of sorted keys, range by range; no key is in two ranges.

    Args:
      row_bytes: what a row takes while its range is worked on.
    """
    range_bytes = min(max(limit.max_bytes // _SHARE_A_RANGE, _MIN_RANGE_BYTES), _MAX_RANGE_BYTES)
    num_ranges = -(-sum(map(len, columns)) * row_bytes // range_bytes)
    step = sample_step(sum(map(len, columns)), num_ranges)
    # Finding where a range starts touches few pages of a file, so that files are mapped, one at a time.
    cuts = range_cuts([_mapped(column)[::step].copy() for column in columns], num_ranges)
    return ranges_between([range_bounds(_mapped(column), cuts) for column in columns])


def _mapped(column: Column) -> np.ndarray:
    return column.mapped() if isinstance(column, FileColumn) else column[:]


class DistinctKeys:
    """A growing set of keys, in memory as far as that goes, beyond it in sorted runs on disk."""

    def __init__(self, shelf: Shelf, ply: int, dtype: np.dtype) -> None:
        self._shelf, self._ply = shelf, ply
        self._merged: Keys = np.empty(0, dtype)
        self._pending: list[Keys] = []
        self._pending_bytes = 0
        self._runs: list[Column] = []

    def add(self, keys: Keys) -> None:
        """Adds sorted keys."""
        self._pending.append(keys)
        self._pending_bytes += keys.nbytes
        max_bytes = self._shelf.limit.max_bytes
        # Merging whenever the new parts outweigh the old bounds memory by the number of distinct keys.
        if self._pending_bytes > max(self._merged.nbytes, max_bytes // _SHARE_OF_PENDING):
            self._merge()
            num_rows = self._shelf.num_rows + len(self._merged)
            self._shelf.make_room(num_rows, self._ply, extra_bytes=2 * self._merged.nbytes)
            if self._shelf.on_disk and self._merged.nbytes > max_bytes // _SHARE_OF_RUN:
                self._put_down()

    def _merge(self) -> None:
        self._merged = union([self._merged, *self._pending])
        self._pending, self._pending_bytes = [], 0

    def _put_down(self) -> None:
        """Writes what is in memory to a run."""
        name = f"run_{len(self._runs):04}"
        self._runs.append(self._shelf.write(name, self._merged.dtype, [self._merged]))
        self._merged = self._merged[:0]

    def blocks(self) -> Iterator[Keys]:
        """The distinct keys in sorted blocks; the set is empty afterwards."""
        self._merge()
        parts: list[Column] = [*self._runs, self._merged]
        if self._runs:
            ranges = ranges_of(parts, 3 * self._merged.itemsize, self._shelf.limit)
            yield from map_in_order(lambda slices: union(_read(parts, slices)), ranges)
        elif len(self._merged):
            yield self._merged
        for run in self._runs:
            if isinstance(run, FileColumn):
                run.path.unlink(missing_ok=True)
        self._merged, self._runs = self._merged[:0], []


def _read(columns: Sequence[Column], slices: Sequence[slice]) -> list[np.ndarray]:
    return [column[rows] for column, rows in zip(columns, slices, strict=True)]
