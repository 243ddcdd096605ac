"""The positions that an agent is measured on, with their exact values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt32

from exit.evaluate.sample import MAX_PLIES, random_positions
from exit.game import State
from exit.solve import (
    Exact,
    ExactMoves,
    states_of,
    unfinished_keys,
)

_AT_ONCE = 4096


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured while a run trains.

    Attributes:
      num_positions: critical states in the fixed sample; all of them if there are fewer.
      budget: simulations a state for the searching agent; the reflex is measured beside it.
      exact: measure against exact values, of a table or of a library; False for games that have neither.
    """

    num_positions: int = 1024
    budget: int = 32
    exact: bool = True

    def __post_init__(self) -> None:
        if self.num_positions < 1:
            raise ValueError(f"evaluation.num_positions is {self.num_positions}; it must be at least 1")


class Yardstick(NamedTuple):
    """States to measure on and their exact values.

    Attributes:
      states: leaves `[n, ...]`.
      moves: exact values of the states and of all their moves.
    """

    states: State
    moves: ExactMoves


def yardstick(exact: Exact, keys: UInt32[np.ndarray, "n K"]) -> Yardstick:
    """The states of these keys with their exact values."""
    return Yardstick(states_of(exact.game, keys), exact.moves_fn(keys))


def critical_sample(exact: Exact, num_positions: int, *, seed: int = 0) -> Yardstick:
    """A fixed sample of critical states.

    Uniform over all of them where a table knows them; else of what 0 to 34 uniformly random moves lead to.
    There may be fewer than `num_positions`.
    """
    chosen: list[np.ndarray] = []
    num_chosen = 0
    for some in _shuffled(exact, num_positions, seed):
        chosen.append(some[exact.moves_fn(some).critical])
        num_chosen += len(chosen[-1])
        if num_chosen >= num_positions:
            break
    return yardstick(exact, np.concatenate(chosen)[:num_positions])


def _shuffled(exact: Exact, num_positions: int, seed: int) -> Iterator[UInt32[np.ndarray, "n K"]]:
    """Keys of unfinished states in random order, some at a time."""
    if exact.table is not None:
        keys = unfinished_keys(exact.table)
        order = np.random.default_rng(seed).permutation(len(keys))
        yield from (keys[order[start : start + _AT_ONCE]] for start in range(0, len(order), _AT_ONCE))
        return
    # A position in three may leave no choice that matters; what is not asked for is not solved.
    keys = random_positions(exact.game, 3 * num_positions, MAX_PLIES, seed).keys
    yield from np.array_split(keys, 4)
