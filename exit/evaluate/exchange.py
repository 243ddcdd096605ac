"""The exchange rate of training for thinking: what a budget buys in the place of train compute.

After A. Jones, Scaling Scaling Laws with Board Games, 2021: on lines of equal strength, the logarithm of test
compute falls in proportion to the logarithm of train compute. Fitted by least squares,

    log10(test) = a log10(train) + b strength + c,

where strength is the logit of regret, log10((w - r) / r) with r the mean regret of an agent at a budget and w
the greatest one there can be, or an Elo rating. Points without any regret have no logit and are left out, and
so are those at budget 0, where a state costs one evaluation whatever is to be reached. Ratings end there as
well: perfect players all draw, whatever their budget.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from exit.evaluate.resampling import percentile_interval, resampled_means

FEWEST_POINTS = 6


class Strength(NamedTuple):
    """How strong each of M agents is at each of S budgets; infinite where that cannot be told.

    Attributes:
      found: in what was measured.
      resampled: in each of R resamples of it.
    """

    found: Float[np.ndarray, "M S"]
    resampled: Float[np.ndarray, "M S R"]


def regret_strength(
    regret: Float[np.ndarray, "M S n"], greatest: float, counts: Int[np.ndarray, "R n"]
) -> Strength:
    """Logit of mean regret, in decades: 0 at half of the greatest that there can be; infinite without regret.

    Args:
      counts: resamples of the n states.
    """
    return Strength(_logit(regret.mean(-1), greatest), _logit(resampled_means(regret, counts), greatest))


def exchange_rate(
    train_flops: Float[np.ndarray, " M"],
    test_flops: Float[np.ndarray, "M S"],
    strength: Strength,
    usable: Bool[np.ndarray, "M S"],
) -> dict[str, Any] | None:
    """The plane through the logarithms of train compute, test compute and strength.

    Args:
      train_flops: of each of M agents.
      test_flops: of each at each budget, mean of a state.
      usable: which points are fitted, apart from those without strength.

    Returns:
      `slope` is a, `strength_coefficient` b, in decades of test compute for one of strength, `intercept` c;
      `slope_ci95` over the resamples; `r2`; `points` fitted and `saturated`, points left out for having no
      strength; `residuals`, in decades of test compute, of each fitted point as
      `[agent, budget index, residual]`. None where fewer than six points, or fewer than two agents or
      budgets, are left.
    """
    train, test = np.log10(train_flops)[:, None] + np.zeros_like(test_flops), np.log10(test_flops)
    fitted = usable & np.isfinite(strength.found)
    agents, columns = np.nonzero(fitted)
    if len(agents) < FEWEST_POINTS or len(set(agents)) < 2 or len(set(columns)) < 2:
        return None
    x, y = train[fitted], test[fitted]
    coefficients = _fit(x, strength.found[fitted], y)
    off = y - _design(x, strength.found[fitted]) @ coefficients
    slopes = []
    for resampled in strength.resampled[fitted].T:
        # A resample may have no regret at all where the sample has some.
        some = np.isfinite(resampled)
        if some.sum() >= FEWEST_POINTS:
            slopes.append(_fit(x[some], resampled[some], y[some])[0])
    return {
        "slope": float(coefficients[0]),
        "slope_ci95": percentile_interval(np.array(slopes)) if slopes else None,
        "strength_coefficient": float(coefficients[1]),
        "intercept": float(coefficients[2]),
        "r2": float(1 - np.sum(off**2) / np.sum((y - y.mean()) ** 2)),
        "points": len(agents),
        "saturated": int((usable & ~np.isfinite(strength.found)).sum()),
        "residuals": [
            [int(agent), int(column), float(residual)]
            for agent, column, residual in zip(agents, columns, off, strict=True)
        ],
    }


def _logit(mean_regret: np.ndarray, greatest: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log10(np.maximum(greatest - mean_regret, 0.0)) - np.log10(mean_regret)


def _design(train: np.ndarray, strength: np.ndarray) -> np.ndarray:
    return np.stack([train, strength, np.ones_like(train)], axis=-1)


def _fit(train: np.ndarray, strength: np.ndarray, test: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(_design(train, strength), test, rcond=None)[0]
