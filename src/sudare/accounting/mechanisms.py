"""Mechanisms that add noise once: the Gaussian, calibrated exactly, and a private quantile."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from sudare.core.arrays import FloatArray


def gaussian_delta(sigma: float, epsilon: float) -> float:
    """The delta of the Gaussian mechanism with noise ``sigma`` times the L2 sensitivity.

    >>> round(gaussian_delta(1.0, 1.0), 6)
    0.126937

    Source:
        Balle and Wang 2018, "Improving the Gaussian mechanism for differential privacy", theorem 8.
    """
    a, b = 1 / (2 * sigma), epsilon * sigma
    # In logarithms: exp(epsilon) overflows long before the product does.
    second = math.exp(min(epsilon + float(norm.logcdf(-a - b)), 0.0))
    return max(float(norm.cdf(a - b)) - second, 0.0)


def gaussian_sigma(epsilon: float, delta: float) -> float:
    """The least noise over the L2 sensitivity that gives (epsilon, delta).

    Source:
        Balle and Wang 2018: delta falls with sigma, so its equation has one root.
    """

    def excess(log_sigma: float) -> float:
        return math.log(max(gaussian_delta(math.exp(log_sigma), epsilon), 1e-300) / delta)

    root = float(brentq(excess, math.log(1e-4), math.log(1e6), xtol=1e-12))
    # On the safe side of the root.
    return math.exp(root) * (1 + 1e-9)


def private_quantile(
    values: FloatArray,
    quantile: float,
    *,
    low: float,
    high: float,
    epsilon: float,
    rng: np.random.Generator,
) -> float:
    """A quantile by the exponential mechanism, epsilon-differentially private.

    Adding or removing one value moves every rank by at most one. The mechanism is the report of
    a noisy maximum: Gumbel noise of scale 2 / epsilon on the negative distance of ranks.

    Args:
        values: One number from each image.
        quantile: Which, in 0 to 1.
        low: Least answer; fixed beforehand.
        high: Largest answer; fixed beforehand.
        epsilon: Budget.
        rng: Source of the noise.

    Source:
        Smith 2011, "Privacy-preserving statistical estimation with optimal convergence rates",
        algorithm 2.
    """
    inside = np.concatenate([[low], np.sort(np.clip(values, low, high)), [high]])
    widths = np.diff(inside)
    utility = -np.abs(np.arange(len(widths)) - quantile * len(values))
    with np.errstate(divide="ignore"):
        scores = np.log(widths) + utility * epsilon / 2
    chosen = int(np.argmax(scores + rng.gumbel(size=len(scores))))
    return float(rng.uniform(inside[chosen], inside[chosen + 1]))
