"""Sets of state keys as sorted NumPy arrays.

A key of K 32-bit words is packed into one scalar, so that sorting and searching see a flat array: K = 1
stays uint32, K = 2 becomes uint64, more becomes an opaque void whose bytes are compared. The order of
packed keys means nothing; it only has to be total.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int, Shaped, UInt32, UInt64

from exit.solve.threads import map_in_order, num_workers

Keys = Shaped[np.ndarray, " _"]
"""Packed keys."""

_SORTED_SEARCH_MIN = 1 << 16
_SEARCH_BLOCK = 1 << 12
_SHARED_UNION_MIN = 1 << 19
_SAMPLES_A_RANGE = 16


def packed_dtype(num_words: int) -> np.dtype:
    """The type of a packed key."""
    return {1: np.dtype(np.uint32), 2: np.dtype(np.uint64)}.get(num_words, np.dtype((np.void, 4 * num_words)))


def pack(words: UInt32[np.ndarray, "... K"]) -> Shaped[np.ndarray, "..."]:
    """Keys as scalars; no copy where `words` is contiguous."""
    return np.ascontiguousarray(words).view(packed_dtype(words.shape[-1]))[..., 0]


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
    if sum(map(len, parts)) < _SHARED_UNION_MIN:
        return _merged(parts)
    ranges = split_ranges(parts, 4 * num_workers())

    def merged(slices: list[slice]) -> Keys:
        return _merged([part[rows] for part, rows in zip(parts, slices, strict=True)])

    return np.concatenate(list(map_in_order(merged, ranges)))


def _merged(parts: list[Keys]) -> Keys:
    keys = np.concatenate(parts)
    # The stable sort merges runs that are sorted already.
    keys.sort(kind="stable")
    return keys[is_first(keys)]


def split_ranges(parts: list[Keys], num_ranges: int) -> list[list[slice]]:
    """Slices of several sorted arrays such that the keys of each range come before those of the next.

    No key is in two ranges. Ranges are about equally large, and each has a slice of every part.
    """
    step = sample_step(sum(map(len, parts)), num_ranges)
    cuts = range_cuts([part[::step] for part in parts], num_ranges)
    return ranges_between([range_bounds(part, cuts) for part in parts])


def sample_step(num_keys: int, num_ranges: int) -> int:
    """Every which key tells how keys are distributed."""
    return max(1, num_keys // (_SAMPLES_A_RANGE * num_ranges))


def range_cuts(samples: list[Keys], num_ranges: int) -> Keys:
    """The first key of every range but the first."""
    sample = np.sort(np.concatenate(samples))
    return sample[np.arange(1, num_ranges) * len(sample) // num_ranges]


def range_bounds(part: Keys, cuts: Keys) -> Int[np.ndarray, " bounds"]:
    """Where ranges start and end in a sorted array."""
    return np.concatenate([[0], np.searchsorted(part, cuts), [len(part)]])


def ranges_between(bounds: list[Int[np.ndarray, " bounds"]]) -> list[list[slice]]:
    """The slices of all parts, range by range."""
    return [[slice(int(a), int(b)) for a, b in each] for each in zip(*map(pairwise, bounds), strict=True)]


def with_order(keys: Keys) -> tuple[Keys, Int[np.ndarray, " n"]]:
    """The keys, sorted, and where each of them stood; equal keys keep their order."""
    joined = _joined(keys)
    if joined is None:
        order = np.argsort(keys, kind="stable")
        return keys[order], order
    # Sorting numbers is many times as fast as sorting an index by them.
    joined.sort()
    low, place_bits = keys.min(), _place_bits(len(keys))
    order = (joined & np.uint64((1 << place_bits) - 1)).astype(np.int64)
    joined >>= np.uint64(place_bits)
    return joined.astype(keys.dtype) + low, order


def _place_bits(count: int) -> int:
    return max(count - 1, 0).bit_length()


def _joined(keys: Keys) -> UInt64[np.ndarray, " n"] | None:
    """Each key and its place in one number; None where they need more than 64 bits."""
    if keys.dtype.kind != "u" or len(keys) == 0:
        return None
    low, place_bits = keys.min(), _place_bits(len(keys))
    if int(keys.max() - low).bit_length() + place_bits > 64:
        return None
    joined = (keys - low).astype(np.uint64)
    joined <<= np.uint64(place_bits)
    joined |= np.arange(len(keys), dtype=np.uint64)
    return joined


def looked_up(keys: Keys, data: Shaped[np.ndarray, " n"], queries: Keys) -> Shaped[np.ndarray, " q"]:
    """What `data` says of the place of each query in sorted `keys`.

    Raises:
      KeyError: a query is absent.
    """
    if _few(keys, queries):
        places = _bounded(np.searchsorted(keys, queries), keys)
        _require(keys, places, queries)
        return data[places]
    # Beyond the processor's caches a search is fast only where consecutive queries are close.
    ordered, order = with_order(queries)
    first = is_first(ordered)
    ordered = ordered[first]
    places = sorted_positions(keys, ordered)
    _require(keys, places, ordered)
    result = np.empty(len(queries), data.dtype)
    result[order] = data[places][np.cumsum(first) - 1]
    return result


def positions(keys: Keys, queries: Keys) -> Int[np.ndarray, " q"]:
    """Where each query stands in sorted `keys`; any position where it is absent."""
    if _few(keys, queries):
        return _bounded(np.searchsorted(keys, queries), keys)
    ordered, order = with_order(queries)
    result = np.empty(len(queries), np.int64)
    result[order] = sorted_positions(keys, ordered)
    return result


def _few(keys: Keys, queries: Keys) -> bool:
    """Whether a search gains nothing from queries in order."""
    return len(keys) < _SORTED_SEARCH_MIN or len(queries) < len(keys) >> 10


def _bounded(places: Int[np.ndarray, " q"], keys: Keys) -> Int[np.ndarray, " q"]:
    return np.minimum(places, max(len(keys) - 1, 0), out=places)


def _require(keys: Keys, places: Int[np.ndarray, " q"], queries: Keys) -> None:
    if len(queries) and (len(keys) == 0 or not (keys[places] == queries).all()):
        raise KeyError("a key is absent")


def sorted_positions(keys: Keys, queries: Keys) -> Int[np.ndarray, " q"]:
    """`positions` of sorted queries."""
    if len(queries) == 0:
        return np.empty(0, np.int64)
    starts = np.searchsorted(keys, queries[::_SEARCH_BLOCK]).tolist()
    found = np.empty(len(queries), np.int64)
    # A block of queries can only lie between where it starts and where the next one does.
    for block, (start, stop) in enumerate(pairwise([*starts, len(keys)])):
        rows = slice(block * _SEARCH_BLOCK, (block + 1) * _SEARCH_BLOCK)
        found[rows] = np.searchsorted(keys[start : stop + 1], queries[rows])
        found[rows] += start
    return _bounded(found, keys)


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
        self.runs: list[Keys] = []

    def add(self, keys: Keys) -> None:
        """Adds sorted keys that are not in the set yet."""
        self.runs.append(keys)
        while len(self.runs) > 1 and len(self.runs[-2]) <= 2 * len(self.runs[-1]):
            last = self.runs.pop()
            self.runs[-1] = union([self.runs[-1], last])

    def contains(self, queries: Keys) -> Bool[np.ndarray, " q"]:
        """Whether each of some sorted keys is in the set."""
        found = np.zeros(len(queries), bool)
        for run in self.runs:
            found |= contains(run, queries)
        return found


def hashes(keys: Keys) -> UInt64[np.ndarray, " n"]:
    """Numbers that depend on all bits of each key, as if drawn at random."""
    words = unpack(keys).astype(np.uint64)
    mixed = np.zeros(len(keys), np.uint64)
    # Multiplication by an odd number with random bits, the golden ratio's here, spreads low bits upwards;
    # the shift brings them back down for the next word.
    for column in words.T:
        mixed = (mixed ^ (mixed >> np.uint64(29)) ^ column) * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(32))
