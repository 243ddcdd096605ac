"""Values of many states in few bytes."""

import threading
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped, UInt8

MAX_LEVELS = 256


class TooManyLevels(Exception):
    """The values of a game are too many to be numbered in one byte."""


class Values(NamedTuple):
    """Values of n states, numbered where a game knows only a few.

    Attributes:
      data: the values, or one-byte numbers of `levels`.
      levels: the values that occur; None where `data` holds them.
    """

    data: Shaped[np.ndarray, " n"]
    levels: Float[np.ndarray, " L"] | None

    def at(self, rows: Shaped[np.ndarray, "..."] | slice) -> Float[np.ndarray, "..."]:
        """The values of some rows."""
        return self.meant(self.data[rows])

    def meant(self, data: Shaped[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """The values that some of the data mean."""
        return data if self.levels is None else self.levels[data]


class Levels:
    """Values met so far, numbered in the order of their appearance; threads may share it."""

    def __init__(self, values: Float[np.ndarray, " L"] | None = None) -> None:
        self.values = np.zeros(0) if values is None else values
        self._lock = threading.Lock()

    def numbers_of(self, values: Float[np.ndarray, " n"]) -> UInt8[np.ndarray, " n"]:
        """The number of each value.

        Raises:
          TooManyLevels: there are more than `MAX_LEVELS`.
        """
        numbers, known = self._search(values)
        if known.all():
            return numbers
        with self._lock:
            new = np.unique(values[~known])
            new = new[~np.isin(new, self.values)]
            if len(self.values) + len(new) > MAX_LEVELS:
                raise TooManyLevels
            self.values = np.concatenate([self.values, new])
        return self._search(values)[0]

    def _search(self, values: Float[np.ndarray, " n"]) -> tuple[UInt8[np.ndarray, " n"], np.ndarray]:
        """Numbers, and whether they are right."""
        levels = self.values
        if len(levels) == 0:
            return np.zeros(len(values), np.uint8), np.zeros(len(values), bool)
        order = np.argsort(levels)
        places = np.minimum(np.searchsorted(levels[order], values), len(levels) - 1)
        return order[places].astype(np.uint8), levels[order][places] == values
