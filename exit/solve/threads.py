"""Work on big arrays, shared among threads; NumPy and XLA release the interpreter lock."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def num_workers() -> int:
    """Threads that share the work."""
    return min(len(os.sched_getaffinity(0)), 8)


def map_in_order(work_fn: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
    """Results of `work_fn` on each item, in order, computed in threads."""
    if len(items) == 1:
        yield work_fn(items[0])
        return
    # A few items are in flight at a time, so that results do not pile up before they are used.
    with ThreadPoolExecutor(num_workers()) as pool:
        window = [pool.submit(work_fn, item) for item in items[: num_workers() + 1]]
        for item in items[len(window) :]:
            yield window.pop(0).result()
            window.append(pool.submit(work_fn, item))
        yield from (future.result() for future in window)


def map_rows(work_fn: Callable[[slice], _Result], num_rows: int, chunk: int) -> Iterator[_Result]:
    """Results of `work_fn` on consecutive slices of at most `chunk` rows, in order, computed in threads."""
    return map_in_order(work_fn, row_slices(num_rows, chunk))


def row_slices(num_rows: int, chunk: int) -> list[slice]:
    """Consecutive slices of at most `chunk` rows."""
    return [slice(start, min(start + chunk, num_rows)) for start in range(0, num_rows, chunk)]
