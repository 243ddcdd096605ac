"""How many states a game will turn out to have, and how much of a solution is left."""

import math
import time
from collections.abc import Sequence

import numpy as np

_SHARE_OF_ENUMERATION = 0.4
"""Of the time of a solution: measured on Connect Four."""

_AT_ONCE_SECONDS = 0.5

_MIN_LAYERS = 6
_FITTED_LAYERS = 8
_MAX_LAYERS = 10_000


def forecast_states(layers: Sequence[int]) -> float | None:
    """About how many states there are in all, from the sizes of the first layers; None if that is not clear.

    Layers grow by less and less, and then shrink. Their growth, as a logarithm, is continued in a straight
    line, which is what it is close to where chances to go on run out evenly.
    """
    sizes = np.asarray(layers, float)[-_FITTED_LAYERS - 1 :]
    if len(layers) < _MIN_LAYERS or (sizes <= 0).any():
        return None
    growth = np.diff(np.log(sizes))
    slope, start = np.polyfit(np.arange(len(growth)) - len(growth) + 1, growth, 1)
    if slope >= 0:
        return None
    total, size = float(sum(layers)), float(sizes[-1])
    for step in range(1, _MAX_LAYERS):
        size *= math.exp(start + slope * step)
        total += size
        if size < 1:
            break
    return total


class Forecast:
    """What is left of a solution, told by what its `ProgressFn` is called with.

    Args:
      num_states: how many states there are, if that is known.
    """

    def __init__(self, num_states: int | None = None) -> None:
        self._known = num_states
        self._sizes: list[int] = []
        self._layer, self._states = 0, 0
        self._started: float | None = None
        self._first: tuple[float, float] | None = None

    @property
    def num_states(self) -> int | float | None:
        """How many states there are, as far as it can be told."""
        return self._known or forecast_states(self._sizes)

    @property
    def num_found(self) -> int:
        """States found so far."""
        return self._states

    def update(self, phase: str, layer: int, states: int) -> float | None:
        """The part of the work that is done; None while it cannot be told."""
        if phase == "solve":
            total = self._states
            done = _SHARE_OF_ENUMERATION + (1 - _SHARE_OF_ENUMERATION) * states / max(total, 1)
        elif phase == "enumerate":
            if layer != self._layer:
                # The last call of a layer told how many states there are up to it.
                self._sizes.append(self._states - sum(self._sizes))
            self._layer, self._states = layer, states
            total = self.num_states
            if total is None:
                return None
            done = _SHARE_OF_ENUMERATION * min(states / total, 1.0)
        else:
            return None
        now = time.monotonic()
        self._started = self._started or now
        # What is done at once was done by an earlier process.
        if self._first is None or now - self._started < _AT_ONCE_SECONDS:
            self._first = (now, done)
        return done

    def seconds_left(self, done: float) -> float | None:
        """How long the rest takes if it goes on as it went; None if nothing can be told yet."""
        if self._first is None or done <= self._first[1]:
            return None
        started, done_before = self._first
        return (time.monotonic() - started) * (1 - done) / (done - done_before)
