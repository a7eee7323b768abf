"""Shadow statistics of every target at once: sums over all builds, minus the target's pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.scores import ScoreTable

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


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


def shadow_moments(table: ScoreTable, signal: str) -> ShadowMoments:
    """Moments over the shadows of every target, of the whole pool."""
    shape = (*table.membership.shape, table.queries(signal))
    whole = [np.empty(shape) for _ in range(4)]
    count = 0
    for columns, values in table.blocks(signal):
        moments = block_moments(values, table.membership[:, columns], table.complement)
        parts = (moments.mean_in, moments.mean_out, moments.var_in, moments.var_out)
        for array, part in zip(whole, parts, strict=True):
            array[:, columns] = part
        count = moments.count
    mean_in, mean_out, var_in, var_out = whole
    return ShadowMoments(
        mean_in=mean_in, mean_out=mean_out, var_in=var_in, var_out=var_out, count=count
    )


def block_moments(
    values: Float[FloatArray, "N b Q"],
    membership: Bool[BoolArray, "N b"],
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
    inside = np.broadcast_to(membership[:, :, None], values.shape)
    partner = centred[complement]
    masked = np.where(inside, centred, 0.0)
    own_in = np.where(inside, centred, partner)
    own_out = centred + partner - own_in
    mean_in, var_in = _without(masked, own_in, count)
    mean_out, var_out = _without(centred - masked, own_out, count)
    mean_in += centre
    mean_out += centre
    return ShadowMoments(
        mean_in=mean_in, mean_out=mean_out, var_in=var_in, var_out=var_out, count=count
    )


def pooled_covariance(
    table: ScoreTable, signal: str, *, inside: bool
) -> Float[FloatArray, "N Q Q"]:
    """Covariance of the queries over each target's shadows, within images, averaged over them.

    Args:
        table: Scores and membership.
        signal: Name of the signal.
        inside: Whether shadows that hold an image count as well as those that do not.
    """
    builds, queries = table.n_builds, table.queries(signal)
    total = np.zeros((builds, queries, queries))
    count = builds // 2 - 1
    for columns, values in table.blocks(signal):
        membership = table.membership[:, columns]
        centred = values - values.mean(axis=0, keepdims=True)
        sides = (membership, ~membership) if inside else (~membership,)
        for side in sides:
            total += _summed_covariance(centred, side, table.complement, count) / len(sides)
    covariance: FloatArray = total / table.n_images
    diagonal = np.einsum("tqq->tq", covariance)
    # Rounding can leave a variance of equal values a hair below zero.
    np.maximum(diagonal, 0.0, out=diagonal)
    return covariance


def _summed_covariance(
    centred: FloatArray, side: BoolArray, complement: IntArray, count: int
) -> FloatArray:
    """Sum over images of the covariance over shadows on one side, ``[N, Q, Q]``."""
    masked = np.where(side[:, :, None], centred, 0.0)
    # A build and its partner: the one on this side is what a target takes out.
    own = masked + masked[complement]
    mean = (masked.sum(axis=0, keepdims=True) - own) / count
    every = np.einsum("bjq,bjr->qr", masked, masked, optimize=True)
    products = every[None] - np.einsum("tjq,tjr->tqr", own, own, optimize=True)
    covariance: FloatArray = products / count - np.einsum("tjq,tjr->tqr", mean, mean, optimize=True)
    return covariance


def _without(masked: FloatArray, removed: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    mean = masked.sum(axis=0, keepdims=True) - removed
    mean /= count
    variance = np.square(masked).sum(axis=0, keepdims=True) - np.square(removed)
    variance /= count
    variance -= np.square(mean)
    # Rounding can leave a variance of equal values a hair below zero.
    np.maximum(variance, 0.0, out=variance)
    return mean, variance
