"""The first shadow attack: a classifier learns from shadows what members' scores look like."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sudare.attacks.membership.base import MembershipTest
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.scores import Scale, ScoreTable

_LOWEST_LOG_PROBABILITY = -30.0


class ShokriClassifier(MembershipTest):
    """A logistic regression per class on the sorted log-posterior and that of the true class.

    It sees scores only, not which image they belong to, so it cannot do better than a
    threshold per class. Kept as a historical baseline.

    Attributes:
        top: How many of the largest log-probabilities it sees.

    Source:
        Shokri et al. 2017, "Membership inference attacks against machine learning models",
        with logistic regression for their small net.
    """

    id: ClassVar[str] = "membership.shokri"
    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGLIK})
    null_draws: ClassVar[int] = 5

    signal: str = "log_posterior"
    top: int = 3

    def _scores(self, table: ScoreTable) -> FloatArray:
        labels = table.labels[: table.n_images]
        features = shadow_features(table.pool(self.signal), labels, self.top)
        scores = np.empty(table.membership.shape)
        builds = np.arange(table.n_builds)
        for target in builds:
            shadows = builds[(builds != target) & (builds != table.complement[target])]
            for label in np.unique(labels):
                columns = labels == label
                scores[target, columns] = fit_and_score(
                    features[shadows][:, columns],
                    table.membership[shadows][:, columns],
                    features[target, columns],
                )
        return scores


def shadow_features(log_posterior: FloatArray, labels: IntArray, top: int) -> FloatArray:
    """Own log-probability and probability, and the largest log-probabilities, ``[N, n, top+2]``."""
    clipped = np.maximum(log_posterior, _LOWEST_LOG_PROBABILITY)
    largest = -np.sort(-clipped, axis=2)[:, :, :top]
    index = np.broadcast_to(labels[None, :, None], (len(clipped), len(labels), 1))
    own = np.take_along_axis(clipped, index, axis=2)
    return np.concatenate([own, np.exp(own), largest], axis=2)


def fit_and_score(shadow: FloatArray, member: BoolArray, target: FloatArray) -> FloatArray:
    """The margin of each target row, ``[n]``, from rows of shadows whose membership is known."""
    from sklearn.linear_model import LogisticRegression

    rows = shadow.reshape(-1, shadow.shape[2])
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    # What rounding leaves of a constant must not be blown up; and constants teach nothing.
    told = spread > 1e-12 * np.maximum(np.abs(mean), 1.0)
    if not told.any():
        return np.zeros(len(target))
    rows, target, mean, spread = rows[:, told], target[:, told], mean[told], spread[told]
    # A handful of numbers and thousands of rows: Newton's method is exact in a few steps, and
    # unlike the default solver not ten times slower while other processes use all cores.
    model = LogisticRegression(solver="newton-cholesky", max_iter=200, C=1.0)
    model.fit((rows - mean) / spread, member.ravel())
    scores: FloatArray = model.decision_function((target - mean) / spread)
    return scores
