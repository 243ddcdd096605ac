"""Staleness is incoherence: how far what older weights said disagrees with the weights that learn from it."""

import collections
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from exit.coherence import coherence, num_leaves
from exit.game import Game, State
from exit.network import Params, PredictFn

_WINDOW = 256
"""Batches that a report is about."""

_MAX_STATES, _MAX_EVALUATIONS = 64, 4096
"""Of a batch: a small share of what its own updates cost."""


class Disagreement(NamedTuple):
    """Means over the states of a batch, in reward units.

    Attributes:
      drift: distance of the value by the weights that played from the value by the present ones.
      residual: distance of the former from the present weights' backup at depth 1: the coherence residual of
        a cache whose parts are of different age. At age 0 it is the present weights' own.
    """

    drift: float
    residual: float


def looked_at(game: Game, num_examples: int) -> Int[np.ndarray, " n"]:
    """The rows of a batch of which actors send what their weights say: some, evenly spread.

    None in games with so many moves that a backup costs more than it tells.
    """
    num_rows = min(_MAX_STATES, _MAX_EVALUATIONS // num_leaves(game, 1), num_examples)
    return np.linspace(0, num_examples - 1, num_rows).astype(int)


def disagreement(
    played: Float[np.ndarray, " n"], params: Params, states: State, *, game: Game, predict: PredictFn
) -> Disagreement:
    """How far values that other weights gave to states disagree with these parameters."""
    here = coherence(params, states, game=game, predict=predict, max_depth=1)
    backup = here.qvalues[0].max(axis=-1)
    return Disagreement(float(np.abs(played - here.value).mean()), float(np.abs(played - backup).mean()))


class Staleness:
    """The disagreement of the latest batches by the age of their weights."""

    def __init__(self) -> None:
        self._window: collections.deque[tuple[int, Disagreement]] = collections.deque(maxlen=_WINDOW)

    def add(self, age: int, found: Disagreement) -> None:
        """A batch arrived, so many iterations after its weights were new."""
        # Ages 0, 1, 2 to 3, 4 to 7, and so on.
        self._window.append(((1 << age.bit_length()) >> 1, found))

    def figures(self) -> dict[str, float]:
        """For a report: means over all ages, and over those from a power of two to the next."""
        found = _means("", [each for _, each in self._window])
        for age in sorted({age for age, _ in self._window}):
            found |= _means(f"_at_age_{age}", [each for at, each in self._window if at == age])
        return found


def _means(suffix: str, found: list[Disagreement]) -> dict[str, float]:
    return {
        f"stale_{name}{suffix}": float(np.mean(column))
        for name, column in zip(Disagreement._fields, zip(*found, strict=True), strict=False)
    }
