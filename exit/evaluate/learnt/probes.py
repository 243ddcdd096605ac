"""Linear probes: what can be read off activations by one matrix (G. Alain and Y. Bengio, 2016)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from exit.evaluate.resampling import percentile_interval, resample

_PENALTIES = np.logspace(-6, 3, 10)
_NUM_RESAMPLES = 500

Probe = Pipeline


class Fit(NamedTuple):
    """How much of what there is to know a probe tells.

    Attributes:
      r2: coefficient of determination of each target: 1 all of it, 0 no more than the mean does.
      mean_r2: their mean.
      ci95: 95 % interval of `mean_r2` by bootstrap over the histories it is scored on.
    """

    r2: list[float]
    mean_r2: float
    ci95: list[float]


def fitted_probe(activations: Float[np.ndarray, "n D"], targets: Float[np.ndarray, "n q"]) -> Probe:
    """A ridge regression on standardised activations, its penalty chosen by leaving one out."""
    probe = make_pipeline(StandardScaler(), RidgeCV(alphas=_PENALTIES))
    # Threads of its own would wait for those of XLA, and the models are small.
    with threadpool_limits(1):
        return probe.fit(activations, targets)


def scored_probe(
    probe: Probe,
    activations: Float[np.ndarray, "n D"],
    targets: Float[np.ndarray, "n q"],
    *,
    seed: int = 0,
) -> Fit:
    """How well a probe does on histories that it was not fitted on."""
    off = (targets - probe.predict(activations).reshape(targets.shape)) ** 2
    counts = resample(np.zeros(len(targets), int), _NUM_RESAMPLES, seed=seed)
    resampled = _r2(off, targets, counts)
    each = _r2(off, targets, np.ones((1, len(targets)), int))[0]
    return Fit(each.tolist(), float(each.mean()), percentile_interval(resampled.mean(axis=1)))


def _r2(
    off: Float[np.ndarray, "n q"], targets: Float[np.ndarray, "n q"], counts: Int[np.ndarray, "R n"]
) -> Float[np.ndarray, "R q"]:
    """R² of each target in each resample, which says how often each row is drawn."""
    weight = counts / counts.sum(axis=1, keepdims=True)
    # About a centre, so that squares of large numbers do not cancel.
    centred = targets - targets.mean(axis=0)
    variance = weight @ centred**2 - (weight @ centred) ** 2
    return 1 - weight @ off / np.maximum(variance, 1e-12)


def principal_plane(activations: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n 2"]:
    """Activations on the plane in which they differ most."""
    with threadpool_limits(1):
        return PCA(2, svd_solver="full").fit_transform(activations)
