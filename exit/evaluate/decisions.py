"""What an agent does at many positions."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, UInt32

from exit.game import Game, State
from exit.search import SearchResult
from exit.solve import states_of

ActFn = Callable[[State, Int[np.ndarray, " B"]], SearchResult]
"""`act(states, budgets)`: search a batch of states; results as NumPy or JAX arrays."""

CurveFn = Callable[[State, Int[np.ndarray, " S"]], SearchResult]
"""`curve(states, budgets)`: what one search has found when each of S rising budgets is spent, `[S, B]`."""

ProgressFn = Callable[[int, int], None]
"""Told positions done and positions in all."""

CHUNK = 1024
"""Positions searched at once; batches are padded to it, so that one program serves all."""


@dataclass(frozen=True)
class Shared:
    """An `ActFn` or `CurveFn` behind which several processes share the states of a call.

    Attributes:
      function: takes any number of states.
      at_once: states that keep all the processes busy.
    """

    function: Callable[[State, np.ndarray], SearchResult]
    at_once: int

    def __call__(self, states: State, budgets: np.ndarray) -> SearchResult:
        """What the function answers."""
        return self.function(states, budgets)


class Acts(NamedTuple):
    """How an agent is asked."""

    act: ActFn
    curve: CurveFn


class Decisions(NamedTuple):
    """What an agent did at n states.

    Attributes:
      action: the moves.
      weight: of the move played in the improved policy: how sure the agent is of it.
      value: the agent's value of each state.
      num_simulations: spent on each.
      seconds: wall time in all, compilation excluded.
    """

    action: Int[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]
    num_simulations: Int[np.ndarray, " n"]
    seconds: float

    def of(self, rows: np.ndarray) -> "Decisions":
        """Those at some of the states; the seconds are still those of all."""
        return Decisions(*(column[rows] for column in self[:-1]), seconds=self.seconds)


def decide(
    act_fn: ActFn,
    states: State,
    budget: int,
    *,
    chunk: int | None = None,
    progress_fn: ProgressFn | None = None,
) -> Decisions:
    """Let an agent act at every state.

    Args:
      chunk: states searched at once; by default as many as there are, up to `CHUNK` or as many as are shared.
    """
    num_states = len(jax.tree.leaves(states)[0])
    if not num_states:
        floats = np.zeros(0, np.float32)
        return Decisions(np.zeros(0, np.int32), floats, floats, np.zeros(0, np.int32), 0.0)
    parts: list[tuple[np.ndarray, ...]] = []
    chunk = chunk or _chunk(num_states, act_fn)
    # The first call compiles, in every process that shares the states; it is not charged.
    jax.block_until_ready(
        act_fn(rows_of(states, np.zeros(chunk, int)), np.full(chunk, min(budget, 1), np.int32))
    )
    seconds = 0.0
    for start in range(0, num_states, chunk):
        rows = np.arange(start, start + chunk)
        # What only fills the batch up is not searched.
        budgets = np.where(rows < num_states, budget, 0).astype(np.int32)
        begun = time.perf_counter()
        result = jax.block_until_ready(act_fn(rows_of(states, rows.clip(max=num_states - 1)), budgets))
        seconds += time.perf_counter() - begun
        here = min(chunk, num_states - start)
        parts.append(_columns(result, here))
        if progress_fn is not None:
            progress_fn(start + here, num_states)
    return Decisions(*(np.concatenate(column) for column in zip(*parts, strict=True)), seconds=seconds)


def decide_at(
    act_fn: ActFn, game: Game, keys: UInt32[np.ndarray, "n K"], budget: int, **options: ProgressFn | None
) -> Decisions:
    """`decide` at the states of keys, in batches of one size whatever their number."""
    chunk = None if isinstance(act_fn, Shared) else CHUNK
    return decide(act_fn, states_of(game, keys), budget, chunk=chunk, **options)


def looks_up_to(budget: int) -> list[int]:
    """Budgets at which a search is looked at on its way: 0, 1, 2, 4, ... and the last one."""
    return sorted({0, *(1 << k for k in range(budget.bit_length()) if 1 << k < budget), budget})


def actions_along(
    curve_fn: CurveFn, states: State, looks: Sequence[int], *, progress_fn: ProgressFn | None = None
) -> Int[np.ndarray, "S n"]:
    """The moves that one search would play at every state when each of S rising budgets is spent."""
    num_states = len(jax.tree.leaves(states)[0])
    chunk, budgets = _chunk(num_states, curve_fn), np.array(looks, np.int32)
    parts = []
    for start in range(0, num_states, chunk):
        rows = np.arange(start, start + chunk).clip(max=num_states - 1)
        parts.append(np.asarray(curve_fn(rows_of(states, rows), budgets).action)[:, : num_states - start])
        if progress_fn is not None:
            progress_fn(min(start + chunk, num_states), num_states)
    return np.concatenate(parts, axis=1)


def _columns(result: SearchResult, num_states: int) -> tuple[np.ndarray, ...]:
    """Columns of `Decisions` at the first states of a batch, without the seconds."""
    action = np.asarray(result.action)[:num_states]
    weights = np.asarray(result.action_weights)[:num_states]
    weight = weights[np.arange(num_states), action]
    return action, weight, *(np.asarray(x)[:num_states] for x in (result.value, result.num_simulations))


def rows_of(states: State, rows: Int[np.ndarray, " m"]) -> State:
    """Some of the states stacked along a leading axis."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], states)


def _chunk(num_states: int, function: ActFn | CurveFn) -> int:
    """Positions searched at once: a power of two, so that few sizes are ever compiled, or an equal part."""
    if isinstance(function, Shared):
        return -(-num_states // -(-num_states // function.at_once))
    return min(CHUNK, 1 << max(0, num_states - 1).bit_length())
