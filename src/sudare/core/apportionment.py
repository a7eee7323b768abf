"""Whole numbers in given shares that add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def largest_remainder(shares: Float[FloatArray, " k"], total: int) -> Int[IntArray, " k"]:
    """Whole numbers in these shares that add up exactly; equals differ by one at most.

    >>> largest_remainder(np.array([1.0, 1.0, 2.0]), 101).tolist()
    [25, 25, 51]
    """
    weights = shares if shares.sum() > 0 else np.ones(len(shares))
    exact = weights / weights.sum() * total
    whole: IntArray = np.floor(exact + 1e-9).astype(np.int64)
    # Of equal remainders the first comes first, the same each time.
    order = np.argsort(-np.round(exact - whole, 9), kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return whole
