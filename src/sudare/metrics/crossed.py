"""A share of right answers where builds share their test images: both were drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.estimates import Estimate
from sudare.core.wording import say

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def crossed_share(
    right: Float[FloatArray, "N n"],
    *,
    strata: Int[IntArray, " n"] | None = None,
    level: float = 0.95,
) -> Estimate:
    """Mean share of right answers of N builds on the same n test images.

    An interval over builds alone is too short where a few images decide, since every build meets
    the same ones. The variance of the mean is that of images, plus what builds differ by beyond
    their cells. It is turned into as many independent answers as would have it, and those into a
    beta interval with Jeffreys' prior, so that 8 of 8 right is no certainty.

    Args:
        right: ``float64 [N, n]``, 1 for a right answer, 0 for a wrong one, or a mean over
            recipients.
        strata: Class of each image, where classes count equally (balanced accuracy); else images
            count equally.
        level: Nominal coverage.

    Returns:
        The share; without an interval for a single build.

    Raises:
        AuditError: No answers, or answers that are no shares.

    Source:
        Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of
        positive counts estimated from survey data"; Cameron, Gelbach and Miller 2011 for the
        two-way variance.
    """
    from scipy.stats import beta

    builds, images = right.shape
    if not right.size or not ((right >= 0) & (right <= 1)).all():
        raise AuditError("answers must be shares, and some")
    classes = np.zeros(images, dtype=np.int64) if strata is None else strata
    _, of_class, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    weights = 1 / (len(sizes) * sizes[of_class])
    value = float((right @ weights).mean())
    if builds == 1:
        return Estimate.of_one_build(value, level=level)
    variance, heavier = _variance(right, weights, of_class, sizes, level)
    # No more than there are answers; no fewer than images where none differs from another.
    alike = 1 / float((weights**2).sum())
    most = alike * builds
    spread = value * (1 - value)
    count = min(most, spread / variance) if variance > 0 and spread > 0 else alike
    count /= heavier**2
    tail = (1 - level) / 2
    hits = value * count
    low = float(beta.ppf(tail, hits + 0.5, count - hits + 0.5)) if value > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 0.5, count - hits + 0.5)) if value < 1 else 1.0
    return Estimate(
        value=value,
        low=min(low, value),
        high=max(high, value),
        n=builds,
        method=say("method.crossed"),
        level=level,
        of_units=False,
    )


def _variance(
    right: FloatArray, weights: FloatArray, of_class: IntArray, sizes: IntArray, level: float
) -> tuple[float, float]:
    """Variance of the mean, and by how much its few builds make the quantile heavier."""
    from scipy.stats import norm, t

    builds = len(right)
    by_image = right.mean(axis=0)
    centre = np.bincount(of_class, weights=by_image) / sizes
    # Images of a class vary about its mean; one image alone is taken to vary as a coin of it.
    several = sizes[of_class] > 1
    factor = np.where(several, sizes[of_class] / np.maximum(sizes[of_class] - 1, 1), 1.0)
    apart = np.where(several, (by_image - centre[of_class]) ** 2, by_image * (1 - by_image))
    of_images = float((weights**2 * factor * apart).sum())
    of_builds = float((right @ weights).var(ddof=1)) / builds
    cells = right - by_image
    of_cells = float((weights**2 * cells.var(axis=0, ddof=1)).sum()) / builds
    beyond = max(of_builds - of_cells, 0.0)
    whole = of_images + beyond
    # Satterthwaite: each part of the variance is known as well as it has draws.
    draws = max(float(sizes.sum() - len(sizes)), 1.0)
    doubt = of_images**2 / draws + of_builds**2 / (builds - 1)
    freedom = max(whole**2 / doubt, 1.0) if doubt > 0 else draws
    quantile = (1 + level) / 2
    return whole, float(t.ppf(quantile, freedom) / norm.ppf(quantile))
