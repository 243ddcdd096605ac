"""Stand-ins for actors, which cost next to nothing, and actors' processes."""

import random
import time
from pathlib import Path

import numpy as np

from exit.fleet.batch import Batch, Weights, checksum_of
from exit.fleet.cluster import ActorGroup
from exit.fleet.ledger import Identity

_NONE = np.zeros(0)
_VALUES = "values"


class Recorded:
    """Delivers a recorded batch of games, again and again, each after as long as an actor took for it."""

    def __init__(self, number: int, group: ActorGroup, *, path: Path, seconds: float = 0.0) -> None:
        with np.load(path) as stored:
            self._values = stored[_VALUES]
            names = sorted((name for name in stored.files if name != _VALUES), key=int)
            self._leaves = [stored[name] for name in names]
        self._number, self._seconds, self._sequence = number, seconds, 0

    def play(self, weights: Weights) -> Batch:
        started = time.perf_counter()
        # Not all at the same moment.
        time.sleep(self._seconds * random.uniform(0.9, 1.1))
        identity = Identity(self._number, self._sequence)
        self._sequence += 1
        checksum = checksum_of(self._leaves)
        seconds = time.perf_counter() - started
        return Batch(identity, weights.version, self._leaves, checksum, {}, 0, seconds, self._values)


class Receiver:
    """Reads all of the weights that it is sent, and plays nothing."""

    def __init__(self, number: int, group: ActorGroup) -> None:
        self._number, self._sequence = number, 0

    def play(self, weights: Weights) -> Batch:
        checksum = checksum_of(list(weights.params.values()))
        identity = Identity(self._number, self._sequence)
        self._sequence += 1
        return Batch(identity, weights.version, [], checksum_of([]), {"checksum": checksum}, 0, 0.0, _NONE)


def record(batch: Batch, path: Path) -> None:
    """Writes a batch for `Recorded`."""
    leaves = {str(index): leaf for index, leaf in enumerate(batch.leaves)}
    np.savez(path, **leaves, **{_VALUES: batch.values})  # pyright: ignore[reportArgumentType]


def actors_below(pid: int) -> list[int]:
    """Actors among a process's descendants."""
    found = [pid]
    for process in found:
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return [child for child in found[1:] if _is_actor(child)]


def _is_actor(pid: int) -> bool:
    try:
        return b"_Actor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
