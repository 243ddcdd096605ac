"""The positions that an agent is measured on, with their exact values."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt32

from exit.game import State
from exit.solve import (
    Exact,
    ExactMoves,
    Table,
    exact_moves_of_keys,
    exact_of_table,
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
      exact: measure against an exact table; False for games too large to solve.
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


def critical_sample(table: Table, num_positions: int, *, seed: int = 0) -> Yardstick:
    """A fixed sample of critical states, uniform over all of them."""
    keys = unfinished_keys(table)
    order = np.random.default_rng(seed).permutation(len(keys))
    chosen: list[np.ndarray] = []
    num_chosen = 0
    for start in range(0, len(order), _AT_ONCE):
        some = keys[order[start : start + _AT_ONCE]]
        chosen.append(some[exact_moves_of_keys(table, some).critical])
        num_chosen += len(chosen[-1])
        if num_chosen >= num_positions:
            break
    return yardstick(exact_of_table(table), np.concatenate(chosen)[:num_positions])
