"""The figures of a bench: rates, means and their intervals."""

from typing import Any

import numpy as np
from jaxtyping import Bool

from exit.evaluate.decisions import Decisions, num_searched
from exit.solve import ExactMoves


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
        "ms_per_move": 1e3 * decisions.seconds / max(1, num_searched(len(wrong))),
        "ci95": {name: None if exhaustive else _interval(sample) for name, sample in means.items()},
    }


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
