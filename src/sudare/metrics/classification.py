"""What a classifier is worth to its user: accuracy, per class, and calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import FloatArray, IntArray
from sudare.core.errors import AuditError

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def accuracy(scores: Float[FloatArray, "n C"], labels: Int[IntArray, " n"]) -> float:
    """Share of images whose highest score is their label."""
    _check(scores, labels)
    return float(np.mean(scores.argmax(axis=1) == labels))


def recall_per_class(
    scores: Float[FloatArray, "n C"], labels: Int[IntArray, " n"]
) -> Float[FloatArray, " C"]:
    """Recall of each class, NaN for a class without images."""
    _check(scores, labels)
    right = scores.argmax(axis=1) == labels
    totals = np.bincount(labels, minlength=scores.shape[1]).astype(np.float64)
    hits = np.bincount(labels, weights=right, minlength=scores.shape[1])
    recalls: FloatArray = np.divide(
        hits, totals, out=np.full_like(totals, np.nan), where=totals > 0
    )
    return recalls


def balanced_accuracy(scores: Float[FloatArray, "n C"], labels: Int[IntArray, " n"]) -> float:
    """Mean recall over the classes that occur."""
    return float(np.nanmean(recall_per_class(scores, labels)))


def expected_calibration_error(
    log_posterior: Float[FloatArray, "n C"], labels: Int[IntArray, " n"], *, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins of confidence.

    Args:
        log_posterior: ``float64 [n, C]``, log-probabilities.
        labels: ``int64 [n]``.
        bins: Number of bins over [0, 1].

    Source:
        Guo et al. 2017, "On calibration of modern neural networks", eq. 3.
    """
    _check(log_posterior, labels)
    confidence = np.exp(log_posterior.max(axis=1))
    right = (log_posterior.argmax(axis=1) == labels).astype(np.float64)
    # Bins are half-open on the left, (0, 1/15], ..., so that confidence 1 is in the last.
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(index, weights=confidence - right, minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


def _check(scores: FloatArray, labels: IntArray) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise AuditError(f"scores {scores.shape} do not fit labels {labels.shape}")
