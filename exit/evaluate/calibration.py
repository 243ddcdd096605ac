"""Whether what is predicted is what is found, in the mean, wherever the same is predicted."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt32

from exit.evaluate.resampling import percentile_interval, resample_alike

NUM_BINS = 10
_NUM_RESAMPLES = 400


def calibration(
    predicted: Float[np.ndarray, " n"],
    found: Float[np.ndarray, " n"],
    alike: UInt32[np.ndarray, " n"] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """A reliability diagram, and the expected calibration error.

    States are sorted by what is predicted of them into ten bins of as many states each. The error is the mean
    distance, weighted by the states, between what is predicted and what is found in a bin (C. Guo et al., On
    Calibration of Modern Neural Networks, 2017, section 2, there of probabilities and with bins of equal
    width; the bins here leave no state in one that is nearly empty).

    Args:
      predicted, found: in any unit, which is the error's as well.
      alike: equal for states that are drawn together for intervals (`exit.fingerprint.classes`); None draws
        each by itself.

    Returns:
      `error`; `bins`, rising, each with the means `predicted` and `found`, the 95 % interval of the latter,
      and its `count`; the 95 % interval of the error, by bootstrap within the bins.
    """
    order = np.argsort(predicted, kind="stable")
    alike = np.arange(len(order), dtype=np.uint32) if alike is None else alike
    bins, resampled, total = [], np.zeros(_NUM_RESAMPLES), len(order)
    for rows in np.array_split(order, min(NUM_BINS, total)):
        counts = resample_alike(alike[rows], _NUM_RESAMPLES, seed=seed)
        drawn = counts.sum(axis=1)
        means = counts @ found[rows] / drawn
        expected = float(predicted[rows].mean())
        resampled += len(rows) / total * np.abs(counts @ predicted[rows] / drawn - means)
        bins.append(
            {
                "predicted": expected,
                "found": float(found[rows].mean()),
                "count": len(rows),
                "ci95": {"found": percentile_interval(means)},
            }
        )
    error = sum(row["count"] / total * abs(row["predicted"] - row["found"]) for row in bins)
    return {"error": float(error), "ci95": {"error": percentile_interval(resampled)}, "bins": bins}
