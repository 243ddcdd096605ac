"""Memory of this machine and of this process."""

import ctypes
import os
import resource
import sys
from pathlib import Path

# Parameters of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

_KEPT_BLOCK, _KEPT_IN_ALL = 1 << 28, 1 << 29
"""The largest block that is kept, and how much is at the end of the heap, in bytes."""


def available_bytes() -> int:
    """Memory the process can still take, of the machine or of its container."""
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit, used = (_lines(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit and used and limit[0].strip().isdecimal():
        free = min(free, int(limit[0]) - int(used[0]))
    return free


def _lines(path: str) -> list[str]:
    """Lines of a file; none where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def keep_freed_memory() -> None:
    """Have the allocator keep blocks that are freed for the next of their size; where it is glibc's.

    By itself it returns those above 32 MB at once, and memory taken anew is cleared page by page: an update
    whose layers need more takes nearly twice as long for it. Threads that are begun later share one heap: of
    their own they would have small ones, which keep no large blocks.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _KEPT_BLOCK)
        mallopt(_TRIM_THRESHOLD, _KEPT_IN_ALL)


def peak_megabytes() -> float:
    """Greatest memory the process has held, in units of 1e6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
