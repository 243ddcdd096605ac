"""The figures of a bench: rates, means, their intervals, and how well an agent knows itself."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from exit.evaluate.decisions import Decisions
from exit.solve import ExactMoves

_NUM_BINS = 10


def mistakes(decisions: Decisions, moves: ExactMoves) -> Bool[np.ndarray, " n"]:
    """Where the move played is worth less than the best one."""
    return ~moves.optimal[np.arange(len(decisions.action)), decisions.action]


def regrets(decisions: Decisions, moves: ExactMoves) -> Float[np.ndarray, " n"]:
    """What the move played gives away."""
    return np.maximum(moves.regrets[np.arange(len(decisions.action)), decisions.action], 0.0)


def measure(decisions: Decisions, moves: ExactMoves, budget: int, *, exhaustive: bool) -> dict[str, Any]:
    """The figures of one budget, by the names of `xit bench --json`.

    Args:
      exhaustive: the states are all there are: the rates are exact and have no interval.
    """
    off = np.abs(decisions.value - moves.values)
    found = play(decisions, moves, exhaustive=exhaustive)
    critical = play(decisions.of(moves.critical), moves.of(moves.critical), exhaustive=exhaustive)
    return {
        "budget": budget,
        **{name: found[name] for name in ("mistake_rate", "critical_mistake_rate", "mean_regret")},
        "max_regret": found["max_regret"],
        "mistakes": found["mistakes"],
        "value_mae": _mean(off),
        "mean_simulations": _mean(decisions.num_simulations),
        "ms_per_move": 1e3 * decisions.seconds / max(1, len(off)),
        "ci95": found["ci95"] | {"value_mae": None if exhaustive else interval(off)},
        "critical": critical,
        "calibration": calibration(decisions, moves),
    }


def play(decisions: Decisions, moves: ExactMoves, *, exhaustive: bool) -> dict[str, Any]:
    """How well the moves of some states were chosen; rates and regrets are None where there is no state."""
    wrong, regret, critical = mistakes(decisions, moves), regrets(decisions, moves), moves.critical
    samples = {"mistake_rate": wrong, "critical_mistake_rate": wrong[critical], "mean_regret": regret}
    return {
        "count": len(wrong),
        "critical": int(critical.sum()),
        "mistakes": int(wrong.sum()),
        **{name: _mean(sample) for name, sample in samples.items()},
        "max_regret": float(regret.max(initial=0.0)),
        "ci95": {name: None if exhaustive else interval(sample) for name, sample in samples.items()},
    }


def measure_play(action: Int[np.ndarray, " n"], moves: ExactMoves) -> dict[str, Any]:
    """`play` of moves that were made in all states there are, whoever made them."""
    unknown = np.zeros(len(action))
    decisions = Decisions(action, unknown, unknown, unknown.astype(int), 0.0)
    return play(decisions, moves, exhaustive=True)


def calibration(decisions: Decisions, moves: ExactMoves) -> dict[str, Any]:
    """How far the agent's own estimates can be believed.

    Returns:
      `value`: of the states whose value the agent puts into each of ten equal bins, their number, its mean
      value and the mean exact one. `policy`: of the critical states in which the weight of the move played
      falls into each bin, their number, the mean weight and how often the move is a best one. `value_error`
      and `policy_error`: the mean distance between the two, each bin weighted by its states (expected
      calibration error; Naeini et al. 2015).
    """
    critical = moves.critical
    # The greatest value a state can have says how wide the bins are, whatever the agent thinks of it.
    bound = float(np.abs(moves.values).max(initial=0.0)) or 1.0
    right = ~mistakes(decisions, moves)
    value = _reliability(decisions.value, moves.values, -bound, bound)
    policy = _reliability(decisions.weight[critical], right[critical].astype(float), 0.0, 1.0)
    return {
        "value": value,
        "value_error": _calibration_error(value),
        "policy": policy,
        "policy_error": _calibration_error(policy),
    }


def _reliability(
    claimed: Float[np.ndarray, " n"], true: Float[np.ndarray, " n"], low: float, high: float
) -> list[dict[str, Any]]:
    """Number, mean claim and mean truth in each equal bin of claims that is not empty."""
    width = (high - low) / _NUM_BINS
    index = np.clip((claimed - low) // width, 0, _NUM_BINS - 1).astype(int)
    return [
        {
            "from": low + k * width,
            "to": low + (k + 1) * width,
            "count": int(here.sum()),
            "claimed": float(claimed[here].mean()),
            "true": float(true[here].mean()),
        }
        for k in range(_NUM_BINS)
        if (here := index == k).any()
    ]


def _calibration_error(bins: list[dict[str, Any]]) -> float | None:
    total = sum(row["count"] for row in bins)
    return sum(row["count"] * abs(row["claimed"] - row["true"]) for row in bins) / total if total else None


def _mean(sample: np.ndarray) -> float:
    return float(sample.mean()) if sample.size else 0.0


def interval(sample: np.ndarray) -> list[float] | None:
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
