"""Shadow statistics of every target at once: sums over all builds, minus the target's pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["ShadowMoments", "shadow_moments"]


@dataclass(frozen=True, kw_only=True)
class ShadowMoments:
    """Mean and variance (divided by the count) of a signal over each target's shadows.

    Each array is ``float64 [N, n, Q]``; the count is N/2 - 1 everywhere, in and out.
    """

    mean_in: Float[FloatArray, "N n Q"]
    mean_out: Float[FloatArray, "N n Q"]
    var_in: Float[FloatArray, "N n Q"]
    var_out: Float[FloatArray, "N n Q"]
    count: int


def shadow_moments(
    values: Float[FloatArray, "N n Q"],
    membership: Bool[BoolArray, "N n"],
    complement: Int[IntArray, " N"],
) -> ShadowMoments:
    """Moments over the shadows of every target, without a loop over targets.

    For a pair (t, t') exactly one of the two has an image in, so removing both takes one
    value from the "in" sums and one from the "out" sums. Values are centred first, which
    keeps the difference of sums exact to rounding.
    """
    count = membership.shape[0] // 2 - 1
    centre = values.mean(axis=0, keepdims=True)
    centred = values - centre
    inside = membership[:, :, None]
    partner = centred[complement]
    own_in, own_out = np.where(inside, centred, partner), np.where(inside, partner, centred)
    mean_in, var_in = _without(np.where(inside, centred, 0.0), own_in, count)
    mean_out, var_out = _without(np.where(inside, 0.0, centred), own_out, count)
    return ShadowMoments(
        mean_in=mean_in + centre,
        mean_out=mean_out + centre,
        var_in=var_in,
        var_out=var_out,
        count=count,
    )


def _without(masked: FloatArray, removed: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    total = masked.sum(axis=0, keepdims=True) - removed
    squares = (masked**2).sum(axis=0, keepdims=True) - removed**2
    mean = total / count
    # Rounding can leave a variance of equal values a hair below zero.
    return mean, np.maximum(squares / count - mean**2, 0.0)
