"""Sets of state keys as sorted NumPy arrays.

A key of K 32-bit words is packed into one scalar, so that sorting and searching see a flat array: K = 1
stays uint32, K = 2 becomes uint64, more becomes an opaque void whose bytes are compared. The order of
packed keys means nothing; it only has to be total.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt32

Keys = Shaped[np.ndarray, " _"]
"""Packed keys."""

_SORTED_SEARCH_MIN = 1 << 16

_Result = TypeVar("_Result")


def num_workers() -> int:
    """Threads that share the work on big arrays; NumPy and XLA release the interpreter lock."""
    return min(len(os.sched_getaffinity(0)), 8)


def map_rows(work_fn: Callable[[slice], _Result], num_rows: int, chunk: int) -> Iterator[_Result]:
    """Results of `work_fn` on consecutive slices of at most `chunk` rows, in order, computed in threads."""
    slices = [slice(start, min(start + chunk, num_rows)) for start in range(0, num_rows, chunk)]
    if len(slices) == 1:
        yield work_fn(slices[0])
        return
    # A few slices are in flight at a time, so that results do not pile up before they are used.
    with ThreadPoolExecutor(num_workers()) as pool:
        window = [pool.submit(work_fn, rows) for rows in slices[: num_workers() + 1]]
        for rows in slices[len(window) :]:
            yield window.pop(0).result()
            window.append(pool.submit(work_fn, rows))
        yield from (future.result() for future in window)


def pack(words: UInt32[np.ndarray, "... K"]) -> Shaped[np.ndarray, "..."]:
    """Keys as scalars; no copy where `words` is contiguous."""
    size = words.shape[-1]
    dtype = {1: np.dtype(np.uint32), 2: np.dtype(np.uint64)}.get(size, np.dtype((np.void, 4 * size)))
    return np.ascontiguousarray(words).view(dtype)[..., 0]


def unpack(keys: Keys) -> UInt32[np.ndarray, "n K"]:
    """The words of packed keys."""
    return np.ascontiguousarray(keys).view(np.uint32).reshape(len(keys), keys.dtype.itemsize // 4)


def is_first(keys: Keys) -> Bool[np.ndarray, " n"]:
    """True where a key of a sorted array differs from the one before it."""
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    return first


def distinct(keys: Keys) -> Keys:
    """The distinct keys, sorted; sorts the argument in place."""
    keys.sort()
    return keys[is_first(keys)]


def union(parts: list[Keys]) -> Keys:
    """The distinct keys of several sorted arrays, sorted."""
    keys = _merged(parts)
    return keys[is_first(keys)]


def _merged(parts: list[Keys]) -> Keys:
    """The keys of several sorted arrays, sorted."""
    keys = np.concatenate(parts)
    # The stable sort merges runs that are sorted already.
    keys.sort(kind="stable")
    return keys


def positions(keys: Keys, queries: Keys) -> Int[np.ndarray, " q"]:
    """Where each query stands in sorted `keys`; any position where it is absent."""
    if len(keys) < _SORTED_SEARCH_MIN or len(queries) < len(keys) >> 10:
        return np.minimum(np.searchsorted(keys, queries), len(keys) - 1)
    # Beyond the processor's caches a search is fast only where consecutive queries are close.
    order = np.argsort(queries)
    found = np.empty(len(queries), np.int64)
    found[order] = np.searchsorted(keys, queries[order])
    return np.minimum(found, len(keys) - 1, out=found)


def contains(keys: Keys, queries: Keys) -> Bool[np.ndarray, " q"]:
    """Whether each query is among sorted `keys`."""
    if len(keys) == 0:
        return np.zeros(len(queries), bool)
    return keys[positions(keys, queries)] == queries


class SeenKeys:
    """A growing set of keys, kept as sorted runs of which each is over twice as long as the next.

    A key is merged a logarithmic number of times, however many small layers a game has.
    """

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def add(self, keys: Keys) -> None:
        """Adds sorted keys that are not in the set yet."""
        self._runs.append(keys)
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = _merged([self._runs[-1], last])

    def contains(self, queries: Keys) -> Bool[np.ndarray, " q"]:
        """Whether each of some sorted keys is in the set."""
        found = np.zeros(len(queries), bool)
        for run in self._runs:
            found |= contains(run, queries)
        return found
