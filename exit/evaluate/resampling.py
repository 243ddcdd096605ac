"""Intervals by bootstrap: states drawn again, the same draw for everything that is compared.

Percentile intervals (B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), with
strata drawn again each by itself.
"""

import numpy as np
from jaxtyping import Int, UInt32

NUM_RESAMPLES = 1000


def resample(
    stratum: Int[np.ndarray, " n"], num_resamples: int = NUM_RESAMPLES, *, seed: int = 0
) -> Int[np.ndarray, "R n"]:
    """How often each of n states is drawn in each resample."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((num_resamples, len(stratum)), np.int32)
    for each in np.unique(stratum):
        rows = np.flatnonzero(stratum == each)
        counts[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), num_resamples)
    return counts


def resample_alike(
    alike: UInt32[np.ndarray, " n"], num_resamples: int = NUM_RESAMPLES, *, seed: int = 0
) -> Int[np.ndarray, "R n"]:
    """How often each is drawn where those that are alike (`exit.fingerprint.classes`) are drawn together.

    Symmetric images say the same twice. So many states come up as the drawn ones are, more or fewer than n.
    """
    kinds, kind = np.unique(alike, return_inverse=True)
    return resample(np.zeros(len(kinds), int), num_resamples, seed=seed)[:, kind]


def resampled_means(samples: np.ndarray, counts: Int[np.ndarray, "R n"]) -> np.ndarray:
    """Means of samples `[..., n]` in each resample, `[..., R]`."""
    return samples.astype(float) @ counts.T.astype(float) / samples.shape[-1]


def percentile_interval(resampled: np.ndarray) -> list[float]:
    """The 95 % interval of a figure from its resampled values."""
    low, high = np.quantile(resampled, (0.025, 0.975))
    return [float(low), float(high)]
