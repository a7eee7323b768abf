"""What a claim leaves any attacker: the trade-off curve behind it, its area and its mu."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from sudare.accounting.accountants import epsilon_of_history
from sudare.accounting.ledger import GAUSSIAN, LedgerEntry, composed_epsilon
from sudare.accounting.mechanisms import gaussian_delta
from sudare.core.arrays import FloatArray

_DELTAS = (1e-6, 1e-4, 1e-3, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.32, 0.4)
"""Where the accountant's curve is read: fewer points make the ceiling higher, never lower."""
_LEAST_EPSILON = 1e-3


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """What follows from a claim for whoever attacks.

    Attributes:
        auc: No attack has a larger AUC.
        mu: Of the Gaussian mechanism that gives away at least as much, at every delta of the grid.
    """

    auc: float
    mu: float


def ceiling_of(entries: Sequence[LedgerEntry]) -> Ceiling:
    """The ceiling of all that a ledger spent, for adding or removing one image.

    Gaussian mechanisms are read along the accountant's whole curve, which says far more than one
    pair of epsilon and delta; where there are others, only the pair of the whole is known.

    Source:
        Dong, Roth and Su 2022, "Gaussian differential privacy", proposition 2.5 and corollary 2.13.
    """
    if all(entry.mechanism in GAUSSIAN for entry in entries):
        kinds: dict[tuple[float, float], int] = {}
        for entry in entries:
            kind = (entry.noise_multiplier, entry.sample_rate)
            kinds[kind] = kinds.get(kind, 0) + entry.steps
        history = tuple((sigma, rate, steps) for (sigma, rate), steps in kinds.items())
        points = _curve(history)
    else:
        composed = max((e.delta for e in entries if e.mechanism in GAUSSIAN), default=0.0)
        delta = composed + sum(e.delta for e in entries if e.mechanism not in GAUSSIAN)
        points = [(composed_epsilon(entries, delta=composed or delta), delta)]
    return Ceiling(auc=auc_ceiling(points), mu=mu_of(points))


def _curve(history: tuple[tuple[float, float, int], ...]) -> list[tuple[float, float]]:
    points = []
    for delta in _DELTAS:
        epsilon = epsilon_of_history(history, delta=delta)
        points.append((max(epsilon, 0.0), delta))
        # Beyond this every delta is bought for nothing: the curve has met the total variation.
        if epsilon <= _LEAST_EPSILON:
            break
    return points


def auc_ceiling(points: Sequence[tuple[float, float]]) -> float:
    """The largest AUC under (epsilon, delta)-differential privacy at every one of some points.

    The misses of any test with false alarms a are at least 1 - delta - exp(epsilon) a and
    exp(-epsilon) (1 - delta - a); the AUC is one less the area under the larger of all of these.

    >>> round(auc_ceiling([(0.0, 0.0)]), 4), round(auc_ceiling([(0.0, 0.2)]), 4)
    (0.5, 0.68)
    """
    alarms = np.unique(np.concatenate([np.geomspace(1e-12, 1, 4000), np.linspace(0, 1, 4001)]))
    misses: FloatArray = np.zeros_like(alarms)
    for epsilon, delta in points:
        misses = np.maximum(misses, 1 - delta - np.exp(min(epsilon, 700.0)) * alarms)
        misses = np.maximum(misses, np.exp(-epsilon) * (1 - delta - alarms))
    # The curve is convex, so chords lie above it and would make the ceiling too low by their
    # sagitta; the lower sum of a falling curve errs on the other side.
    area = float(np.sum(np.diff(alarms) * misses[1:]))
    return min(1.0, 1.0 - area)


def mu_of(points: Sequence[tuple[float, float]]) -> float:
    """The least mu whose Gaussian mechanism is (epsilon, delta)-private at none of the points less.

    >>> from sudare.accounting.mechanisms import gaussian_delta
    >>> round(mu_of([(1.0, gaussian_delta(0.5, 1.0))]), 6)
    2.0
    """
    # Where the curve has met the total variation a larger delta says no more than a smaller one.
    telling = [point for point in points if point[0] > 0] or list(points)
    return max((_mu(epsilon, delta) for epsilon, delta in telling), default=0.0)


def _mu(epsilon: float, delta: float) -> float:
    if epsilon <= 0:
        # gaussian_delta(1 / mu, 0) is 2 Phi(mu / 2) - 1.
        return 2 * float(norm.ppf((1 + delta) / 2))
    if delta <= 0:
        return float("inf")

    def excess(mu: float) -> float:
        return gaussian_delta(1 / mu, epsilon) - delta

    high = 1.0
    while excess(high) < 0 and high < 1e6:
        high *= 2
    return float(brentq(excess, 1e-6, high, xtol=1e-12))
