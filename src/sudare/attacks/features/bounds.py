"""Ranges as a membership test: a bound taken from private images is one image's own number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import Float32Array, IntArray

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_TOLERANCE = 1e-6


def bounds_touched(
    features: Float[Float32Array, "n d"],
    low: Float[Float32Array, " d"],
    high: Float[Float32Array, " d"],
    others: Float[Float32Array, "m d"],
) -> Int[IntArray, " n"]:
    """On how many bounds each image lies exactly.

    A bound on which an image of somebody else lies as well does not count: rectified features
    share their zeros, and what saturates its largest value.

    Args:
        features: Of the images in question.
        low: Least value of each number.
        high: Largest value of each number.
        others: Features of images that are known not to be members.
    """
    slack = _TOLERANCE * np.maximum(high - low, 0)
    touched = np.zeros(len(features), dtype=np.int64)
    for bound in (low, high):
        telling = ~(np.abs(others - bound) <= slack).any(axis=0) & (high > low)
        touched += ((np.abs(features - bound) <= slack) & telling).sum(axis=1)
    return touched


def expected_share(n: int, dim: int) -> float:
    """Share of n members that touch a bound, if numbers are continuous and independent.

    Each of the two bounds of a number is one of n images: 1 - (1 - 2 / n)^d.

    >>> round(expected_share(546, 768), 2)
    0.94
    """
    return float(1.0 - (1.0 - 2.0 / n) ** dim)
