"""Stand-ins for actors, which cost next to nothing, and actors' processes."""

import time
from pathlib import Path

import numpy as np

from exit.fleet.batch import Batch, Weights, checksum_of
from exit.fleet.cluster import ActorGroup
from exit.fleet.ledger import Identity

_NONE = np.zeros(0)


class Recorded:
    """Delivers a recorded batch of games, again and again, as fast as it is asked."""

    def __init__(self, number: int, group: ActorGroup, *, path: Path) -> None:
        with np.load(path) as stored:
            self._leaves = [stored[name] for name in sorted(stored.files, key=int)]
        self._number, self._sequence = number, 0

    def play(self, weights: Weights) -> Batch:
        started = time.perf_counter()
        identity = Identity(self._number, self._sequence)
        self._sequence += 1
        checksum = checksum_of(self._leaves)
        return Batch(
            identity, weights.version, self._leaves, checksum, {}, 0, time.perf_counter() - started, _NONE
        )


class Receiver:
    """Reads all of the weights that it is sent, and plays nothing."""

    def __init__(self, number: int, group: ActorGroup) -> None:
        self._number, self._sequence = number, 0

    def play(self, weights: Weights) -> Batch:
        checksum = checksum_of(list(weights.params.values()))
        identity = Identity(self._number, self._sequence)
        self._sequence += 1
        return Batch(identity, weights.version, [], checksum_of([]), {"checksum": checksum}, 0, 0.0, _NONE)


def record(leaves: list[np.ndarray], path: Path) -> None:
    """Writes a batch for `Recorded`."""
    np.savez(path, **{str(index): leaf for index, leaf in enumerate(leaves)})  # pyright: ignore[reportArgumentType]


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
