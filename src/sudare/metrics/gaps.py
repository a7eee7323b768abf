"""Gaps between parts: the largest is chosen on half of the images and measured on the other."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.estimates import Estimate
from sudare.core.wording import say
from sudare.metrics.crossed import crossed_share

if TYPE_CHECKING:
    from jaxtyping import Float, Int

LEAST_OF_A_PART = 10
"""Images a part must have to be compared: half of them choose, half measure."""

_CHOSEN = 1.15
"""By how much ends are wider where each half chose what the other measured."""


def largest_gap(
    right: Float[FloatArray, "N n"],
    parts: Int[IntArray, " n"],
    *,
    within: Int[IntArray, " n"] | None = None,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Estimate:
    """Share right of the best part less that of the worst, without the luck of choosing them.

    The largest of several noisy differences is above zero where all parts are alike. So best and
    worst are chosen on one half of the images and compared on the other, both ways, and the mean
    is the estimate: unbiased for the pair that was chosen, zero in the mean for a fair model.

    Args:
        right: ``float64 [N, n]``, 1 where a build was right on a test image.
        parts: Class or group of each image.
        within: Only parts that share this number are compared, such as groups of one class.
        rng: Deals the halves.
        level: Nominal coverage.

    Returns:
        The gap, within -1 to 1; no value where fewer than two comparable parts have ten images.
    """
    outer = np.zeros(right.shape[1], dtype=np.int64) if within is None else within
    halves = _halves(parts, outer, rng)
    found = [
        _measured(right, chosen, measured, parts, outer, level)
        for chosen, measured in (halves, halves[::-1])
    ]
    return _mean(found, right, level)


def mean_gap(
    right: Float[FloatArray, "N n"],
    parts: Int[IntArray, " n"],
    *,
    within: Int[IntArray, " n"],
    rng: np.random.Generator,
    level: float = 0.95,
) -> Estimate:
    """Mean over classes of the gap between groups, each as ``largest_gap``.

    Args:
        right: ``float64 [N, n]``.
        parts: Group of each image.
        within: Class of each image.
        rng: Deals the halves.
        level: Nominal coverage.
    """
    each = []
    for label in np.unique(within):
        own = within == label
        gap = largest_gap(right[:, own], parts[own], rng=rng, level=level)
        if gap.value is not None and gap.low is not None and gap.high is not None:
            each.append((gap.value, gap.value - gap.low, gap.high - gap.value))
    return _mean(each, right, level, wider=1.0)


def worst_share(
    right: Float[FloatArray, "N n"],
    parts: Int[IntArray, " n"],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Estimate:
    """Share right of the worst part, chosen on half of the images and measured on the other.

    The smallest of several noisy shares is too small; this is unbiased for the part chosen.

    Args:
        right: ``float64 [N, n]``, 1 where a build was right on a test image.
        parts: Class of each image.
        rng: Deals the halves.
        level: Nominal coverage.

    Returns:
        The share, in 0 to 1; no value where no part has ten images.
    """
    names, counts = np.unique(parts, return_counts=True)
    names = names[counts >= LEAST_OF_A_PART]
    halves = _halves(parts, np.zeros(len(parts), dtype=np.int64), rng)
    found, worst = [], []
    for chosen, measured in (halves, halves[::-1]) if len(names) else ():
        shares = [right[:, chosen[parts[chosen] == name]].mean() for name in names]
        worst.append(names[int(np.argmin(shares))])
        rows = measured[parts[measured] == worst[-1]]
        found.append(_ends(crossed_share(right[:, rows], level=level)))
    if len(set(worst)) == 1:
        # Both halves name it: their mean is that of all its images, and so is the interval.
        found = [_ends(crossed_share(right[:, parts == worst[0]], level=level))]
    return _within(_mean(found, right, level, few="reason.no_part"), 0.0, 1.0)


def largest_difference(
    differences: Float[FloatArray, "K N n"], *, rng: np.random.Generator, level: float = 0.95
) -> Estimate:
    """Largest of K mean differences, chosen on half of the images and measured on the other.

    Args:
        differences: ``float64 [K, N, n]`` within -1 to 1, for K comparisons.
        rng: Deals the halves.
        level: Nominal coverage.

    Returns:
        The difference; no value for fewer than ten images.
    """
    _, builds, images = differences.shape
    halves = _halves(np.zeros(images, dtype=np.int64), np.zeros(images, dtype=np.int64), rng)
    found = []
    for chosen, measured in (halves, halves[::-1]) if images >= LEAST_OF_A_PART else ():
        one = differences[int(np.argmax(differences[:, :, chosen].mean(axis=(1, 2))))]
        # As a share of 1, so that its interval is a share's.
        value, down, up = _ends(crossed_share((1 + one[:, measured]) / 2, level=level))
        found.append((2 * value - 1, 2 * down, 2 * up))
    nothing = np.zeros((builds, images))
    return _within(_mean(found, nothing, level, few="reason.few_tests"), -1.0, 1.0)


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    """Value and how far its ends are, down and up; not a number for a single build."""
    value = estimate.value
    if value is None:
        raise AuditError("a part without images cannot be measured")
    if estimate.low is None or estimate.high is None:
        return value, math.nan, math.nan
    return value, value - estimate.low, estimate.high - value


def _within(estimate: Estimate, least: float, most: float) -> Estimate:
    """Ends within what the figure can be."""
    if estimate.low is None or estimate.high is None:
        return estimate
    return replace(estimate, low=max(estimate.low, least), high=min(estimate.high, most))


def _halves(
    parts: IntArray, outer: IntArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Two halves of the images, each with half of every part."""
    first = np.zeros(len(parts), dtype=bool)
    for label in np.unique(outer):
        for part in np.unique(parts[outer == label]):
            rows = rng.permutation(np.flatnonzero((outer == label) & (parts == part)))
            first[rows[: len(rows) // 2]] = True
    return np.flatnonzero(first), np.flatnonzero(~first)


def _measured(
    right: FloatArray,
    chosen: IntArray,
    measured: IntArray,
    parts: IntArray,
    outer: IntArray,
    level: float,
) -> tuple[float, float, float] | None:
    """The gap of the pair that is farthest apart on the first half, on the second, and its ends."""
    by_image = right.mean(axis=0)
    farthest, pair = -math.inf, None
    for label in np.unique(outer):
        inside = outer == label
        names = [
            part
            for part in np.unique(parts[inside])
            if (inside & (parts == part)).sum() >= LEAST_OF_A_PART
        ]
        if len(names) < 2:
            continue
        shares = [by_image[chosen[(inside & (parts == n))[chosen]]].mean() for n in names]
        best, worst = int(np.argmax(shares)), int(np.argmin(shares))
        if best != worst and shares[best] - shares[worst] > farthest:
            farthest = shares[best] - shares[worst]
            pair = [inside & (parts == names[at]) for at in (best, worst)]
        elif pair is None:
            # All alike on this half: any two will do.
            pair = [inside & (parts == name) for name in names[:2]]
    if pair is None:
        return None
    upper, lower = (
        _ends(crossed_share(right[:, measured[side[measured]]], level=level)) for side in pair
    )
    return upper[0] - lower[0], math.hypot(upper[1], lower[2]), math.hypot(upper[2], lower[1])


def _mean(
    found: list[tuple[float, float, float] | None] | list[tuple[float, float, float]],
    right: FloatArray,
    level: float,
    few: str = "reason.few_parts",
    wider: float = _CHOSEN,
) -> Estimate:
    known = [one for one in found if one is not None]
    if not known:
        return Estimate.unresolvable(
            n=len(right),
            method=say("method.halves"),
            reason=say(few, least=LEAST_OF_A_PART),
            of_units=False,
        )
    values, down, up = (np.array(column) for column in zip(*known, strict=True))
    value = float(values.mean())
    # The halves hold different images: their errors add in squares. But each half's sign is chosen
    # by the other: of two alike the mean of the halves is (|a| + |b|) / 2 in size, which leaves
    # the usual ends in 9.8 % and ends wider by 1.15 in 5 % of draws.
    low, high = (
        value + sign * wider * float(np.sqrt((reach**2).sum())) / len(known)
        for sign, reach in ((-1, down), (1, up))
    )
    interval = math.isfinite(low) and math.isfinite(high)
    return Estimate(
        value=value,
        low=max(low, -1.0) if interval else None,
        high=min(high, 1.0) if interval else None,
        n=len(right),
        method=say("method.halves" if interval else "method.one_build"),
        level=level,
        of_units=False,
    )
