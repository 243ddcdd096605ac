"""What an agent does at many positions."""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from exit.game import State
from exit.search import SearchResult

ActFn = Callable[[State, int], SearchResult]
"""`act(states, budget)`: search a batch of states of any size; results as NumPy or JAX arrays."""

ProgressFn = Callable[[int, int], None]
"""Told positions done and positions in all."""

CHUNK = 1024
"""Positions searched at once; batches are padded to it, so that one program serves all."""


class Decisions(NamedTuple):
    """What an agent did at n states.

    Attributes:
      action: the moves.
      value: the agent's value of each state.
      num_simulations: spent on each.
      seconds: wall time in all, compilation excluded.
    """

    action: Int[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]
    num_simulations: Int[np.ndarray, " n"]
    seconds: float


def decide(act_fn: ActFn, states: State, budget: int, *, progress_fn: ProgressFn | None = None) -> Decisions:
    """Let an agent act at every state, a chunk at a time."""
    num_states = len(jax.tree.leaves(states)[0])
    if not num_states:
        return Decisions(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32), 0.0)
    parts: list[tuple[np.ndarray, ...]] = []
    chunk = _chunk(num_states)
    # The first call compiles; it is not charged.
    jax.block_until_ready(act_fn(_rows(states, np.zeros(chunk, int)), 0))
    seconds = 0.0
    for start in range(0, num_states, chunk):
        rows = np.arange(start, start + chunk).clip(max=num_states - 1)
        begun = time.perf_counter()
        result = jax.block_until_ready(act_fn(_rows(states, rows), budget))
        seconds += time.perf_counter() - begun
        here = min(chunk, num_states - start)
        parts.append(
            tuple(np.asarray(x)[:here] for x in (result.action, result.value, result.num_simulations))
        )
        if progress_fn is not None:
            progress_fn(start + here, num_states)
    action, value, num_simulations = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Decisions(action, value, num_simulations, seconds)


def _rows(states: State, rows: Int[np.ndarray, " m"]) -> State:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], states)


def num_searched(num_states: int) -> int:
    """Number of positions that are searched to decide on so many: whole chunks."""
    chunk = _chunk(num_states)
    return -(-num_states // chunk) * chunk


def _chunk(num_states: int) -> int:
    """Positions searched at once: a power of two, so that few sizes are ever compiled."""
    return min(CHUNK, 1 << max(0, num_states - 1).bit_length())
