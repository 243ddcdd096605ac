"""How well a measure tells the states in which something is wrong from the others."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from exit.evaluate.resampling import percentile_interval, resample_alike

_NUM_RESAMPLES = 200
_FOLDS = 5


def detection(
    wrong: Bool[np.ndarray, " n"],
    score: Float[np.ndarray, " n"],
    alike: UInt32[np.ndarray, " n"] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Areas under the curves of a score that should be greater where something is wrong.

    Args:
      alike: equal for states that are drawn together for the interval, such as symmetric ones
        (`exit.fingerprint.classes`); None draws each by itself.

    Returns:
      `auc`: how often a wrong state scores above a right one, under the receiver operating characteristic;
      `auprc`: mean precision over recall; the 95 % interval of `auc` by bootstrap. None where all states are
      right, or all wrong.
    """
    if wrong.all() or not wrong.any():
        return None
    alike = np.arange(len(wrong), dtype=np.uint32) if alike is None else alike
    counts = resample_alike(alike, _NUM_RESAMPLES, seed=seed)
    areas = _areas(wrong, score, counts)
    return {
        "auc": float(roc_auc_score(wrong, score)),
        "auprc": float(average_precision_score(wrong, score)),
        "ci95": {"auc": percentile_interval(areas[np.isfinite(areas)])},
    }


def _areas(
    wrong: Bool[np.ndarray, " n"], score: Float[np.ndarray, " n"], counts: Int[np.ndarray, "R n"]
) -> Float[np.ndarray, " R"]:
    """The area of each resample, all of them from one sorting; not a number where one kind is missing."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    ours, theirs = (
        np.add.reduceat(counts[:, order] * kind[order], starts, axis=1).astype(float)
        for kind in (wrong, ~wrong)
    )
    below = np.cumsum(theirs, axis=1) - theirs / 2
    with np.errstate(invalid="ignore"):
        return (ours * below).sum(axis=1) / (ours.sum(axis=1) * theirs.sum(axis=1))


def combined(
    wrong: Bool[np.ndarray, " n"],
    scores: Mapping[str, Float[np.ndarray, " n"]],
    alike: UInt32[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> Float[np.ndarray, " n"] | None:
    """A score learnt from several, each state's by a model that has not seen it, nor any like it.

    Boosted trees, five folds. None where there are too few wrong or right states for that.

    Args:
      alike: equal for states that are the same up to symmetry, such as `exit.fingerprint.classes` finds.
    """
    fewest = min(len(np.unique(alike[kind])) for kind in (wrong, ~wrong))
    if fewest < 2 * _FOLDS:
        return None
    columns = np.stack(list(scores.values()), axis=-1)
    model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.1, random_state=seed)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    # Threads of its own would wait for those of XLA, and the models are small.
    with threadpool_limits(1):
        probability = cross_val_predict(model, columns, wrong, groups=alike, cv=folds, method="predict_proba")
    return np.asarray(probability)[:, 1]
