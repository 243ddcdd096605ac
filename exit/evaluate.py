"""Exact metrics: what an agent's moves give away, measured against the exact value of every state."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from exit.game import State
from exit.search import SearchResult
from exit.solve import ExactMoves, Table, exact_moves_of_keys, states_of, unfinished_keys

ActFn = Callable[[State, int], SearchResult]
"""`act(states, budget)`: search a batch of states of any size; results as NumPy or JAX arrays."""

ProgressFn = Callable[[int, int], None]
"""Told positions done and positions in all."""

CHUNK = 1024
"""Positions searched at once; batches are padded to it, so that one program serves all."""


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


def yardstick(table: Table, keys: UInt32[np.ndarray, "n K"]) -> Yardstick:
    """The states of these keys with their exact values."""
    return Yardstick(states_of(table.game, keys), exact_moves_of_keys(table, keys))


def critical_sample(table: Table, num_positions: int, *, seed: int = 0) -> Yardstick:
    """A fixed sample of critical states, uniform over all of them."""
    keys = unfinished_keys(table)
    order = np.random.default_rng(seed).permutation(len(keys))
    chosen: list[np.ndarray] = []
    num_chosen = 0
    for start in range(0, len(order), 4 * CHUNK):
        some = keys[order[start : start + 4 * CHUNK]]
        chosen.append(some[exact_moves_of_keys(table, some).critical])
        num_chosen += len(chosen[-1])
        if num_chosen >= num_positions:
            break
    return yardstick(table, np.concatenate(chosen)[:num_positions])


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


def mistakes(decisions: Decisions, moves: ExactMoves) -> Bool[np.ndarray, " n"]:
    """Where the move played is worth less than the best one."""
    return ~moves.optimal[np.arange(len(decisions.action)), decisions.action]


def measure(decisions: Decisions, moves: ExactMoves, budget: int, *, exhaustive: bool) -> dict[str, Any]:
    """The figures of one budget, by the names of `xit bench --json`.

    Args:
      exhaustive: the states are all there are: the rates are exact and have no interval.
    """
    wrong = mistakes(decisions, moves)
    critical = moves.critical
    regrets = np.maximum(moves.regrets[np.arange(len(wrong)), decisions.action], 0.0)
    off = np.abs(decisions.value - moves.values)
    means = {
        "mistake_rate": wrong,
        "critical_mistake_rate": wrong[critical],
        "mean_regret": regrets,
        "value_mae": off,
    }
    return {
        "budget": budget,
        **{name: _mean(sample) for name, sample in means.items()},
        "max_regret": float(regrets.max(initial=0.0)),
        "mistakes": int(wrong.sum()),
        "mean_simulations": _mean(decisions.num_simulations),
        "ms_per_move": 1e3 * decisions.seconds / max(1, _padded(len(wrong))),
        "ci95": {name: None if exhaustive else _interval(sample) for name, sample in means.items()},
    }


def benchmark(
    act_fn: ActFn,
    table: Table,
    budgets: Sequence[int],
    *,
    keys: UInt32[np.ndarray, "n K"] | None = None,
    kind: str = "all",
    progress_fn: Callable[[int, int, int], None] | None = None,
) -> dict[str, Any]:
    """Exact metrics at each budget.

    Args:
      keys: of the positions to measure on; None is every unfinished reachable state.
      kind: what the positions are: `all`, `sample` or `file`. Only `all` has no intervals.
      progress_fn: told budget, positions done and positions in all.

    Returns:
      `positions`, `budgets` and `amortization_gap` (mean regret of the reflex minus that at the greatest
      budget; None unless both were measured) by the names of `xit bench --json`; `ms_per_move` is wall
      time in batches of up to 1,024.
    """
    measured = yardstick(table, unfinished_keys(table) if keys is None else keys)
    rows = []
    for budget in budgets:

        def report(done: int, total: int, budget: int = budget) -> None:
            if progress_fn is not None:
                progress_fn(budget, done, total)

        decisions = decide(act_fn, measured.states, budget, progress_fn=report)
        rows.append(measure(decisions, measured.moves, budget, exhaustive=kind == "all"))
    regret = {row["budget"]: row["mean_regret"] for row in rows}
    measured_both = 0 in regret and max(regret) > 0
    gap = regret[0] - regret[max(regret)] if measured_both else None
    critical = int(measured.moves.critical.sum())
    return {
        "positions": {"kind": kind, "count": len(measured.moves.values), "critical": critical},
        "budgets": rows,
        "amortization_gap": gap,
    }


def _rows(states: State, rows: Int[np.ndarray, " m"]) -> State:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], states)


def _padded(num_states: int) -> int:
    """Number of positions that are searched for so many: whole chunks."""
    chunk = _chunk(num_states)
    return -(-num_states // chunk) * chunk


def _chunk(num_states: int) -> int:
    """Positions searched at once: a power of two, so that few sizes are ever compiled."""
    return min(CHUNK, 1 << max(0, num_states - 1).bit_length())


def _mean(sample: np.ndarray) -> float:
    return float(sample.mean()) if sample.size else 0.0


def _interval(sample: np.ndarray) -> list[float] | None:
    """95 % confidence interval of a mean: Wilson's for rates, the normal approximation otherwise."""
    if not sample.size:
        return None
    count, mean = sample.size, float(sample.mean())
    if sample.dtype == bool:
        squared = 1.96**2
        centre = (mean + squared / (2 * count)) / (1 + squared / count)
        half = 1.96 / (1 + squared / count) * np.sqrt(mean * (1 - mean) / count + squared / (4 * count**2))
        return [max(0.0, float(centre - half)), min(1.0, float(centre + half))]
    half = 1.96 * float(sample.std(ddof=1) if count > 1 else 0.0) / np.sqrt(count)
    return [mean - half, mean + half]
