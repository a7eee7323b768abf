"""Which images are exposed most, and how badly, without being fooled by having looked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.estimates import Estimate
from sudare.core.scores import ScoreTable
from sudare.core.wording import say
from sudare.metrics.intervals import mean_over_builds
from sudare.metrics.roc import auc
from sudare.metrics.traces import precision_at

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

Score: TypeAlias = Callable[[ScoreTable], FloatArray]
"""An attack: scores ``[N, n]`` of a table, higher for members."""
_Half: TypeAlias = tuple[FloatArray, BoolArray]
"""Scores and membership of half of the builds."""


def exposure(
    scores: Float[FloatArray, "N n"], membership: Bool[BoolArray, "N n"]
) -> Float[FloatArray, " n"]:
    """How far an image's rank moves with its membership, ``float64 [n]`` in [-1, 1].

    The mean rank of its score among all images of a build, when it was in, less the mean
    rank when it was out. Chosen on all builds it is fit for pictures, never for numbers:
    the top of pure noise looks exposed.
    """
    order = scores.argsort(axis=1).argsort(axis=1)
    rank = order / (scores.shape[1] - 1)
    inside = (rank * membership).sum(axis=0) / membership.sum(axis=0)
    outside = (rank * ~membership).sum(axis=0) / (~membership).sum(axis=0)
    moved: FloatArray = inside - outside
    return moved


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How often an image was found where it was a member.

    Attributes:
        found: ``int64 [n]``, builds in which it was in and scored above the threshold.
        chances: ``int64 [n]``, builds in which it was in.
    """

    found: Int[IntArray, " n"]
    chances: Int[IntArray, " n"]


def found_counts(
    scores: Float[FloatArray, "N n"], membership: Bool[BoolArray, "N n"], *, alpha: float
) -> Exposure:
    """Count finds at a per-build threshold with a false-positive rate of at most alpha.

    An image that was not in is as likely as each of the n others to take any of n + 1 ranks:
    above the j-th highest of them it is found by chance with j / (n + 1), and j is the largest
    whole number that keeps this within alpha.

    Raises:
        AuditError: A build with too few non-members for any j.
    """
    found = np.zeros(scores.shape[1], dtype=np.int64)
    for row, inside in zip(scores, membership, strict=True):
        others = np.sort(row[~inside])[::-1]
        rank = int(alpha * (len(others) + 1) + 1e-9)
        if rank < 1:
            raise AuditError(f"{len(others)} non-members leave no rate as low as {alpha:g}")
        found += inside & (row > others[rank - 1])
    return Exposure(found=found, chances=membership.sum(axis=0).astype(np.int64))


def exposed_units(n_units: int, *, share: float, least: int = 10) -> int:
    """How many units the most exposed share is: at least so many.

    >>> exposed_units(400, share=0.01), exposed_units(2000, share=0.01)
    (10, 20)
    """
    return max(least, round(share * n_units))


def worst_case(
    score: Score,
    table: ScoreTable,
    *,
    rng: np.random.Generator,
    share: float = 0.01,
    least: int = 10,
    draws: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """AUC of the most exposed share of units, chosen on half the pairs, measured on the rest.

    Each half is scored with its own shadows only: scores of one half that used the other
    half's builds as shadows would carry the choice across. Both directions are averaged.

    Args:
        score: The attack: from a table to scores ``[N, n]``.
        table: At least 8 builds.
        rng: Draws the halves and the bootstrap.
        share: Share of units to look at.
        least: At least so many units.
        draws: Bootstrap draws over the chosen units.
        level: Nominal coverage.
    """
    n_units = len(np.unique(table.units))
    chosen = exposed_units(n_units, share=share, least=least)
    method = say("method.cross_fitted", count=chosen)
    if table.n_builds < 8 or n_units < 2 * chosen:
        reason = say("reason.builds_and_units", builds=8, units=2 * chosen)
        return Estimate.unresolvable(n=n_units, method=method, reason=reason)
    values, directions = [], []
    for (choose, choose_k), (measure, measure_k) in _both_directions(score, table, rng):
        units = _top_units(exposure(choose, choose_k), table.units, chosen)
        images = {int(unit): np.flatnonzero(table.units == unit) for unit in units}
        every = np.concatenate(list(images.values()))
        values.append(auc(measure[:, every], measure_k[:, every]))
        directions.append((measure, measure_k, images))
    drawn = [_drawn_auc(directions, rng) for _ in range(draws)]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    value, wider = float(np.mean(values)), _few_units(chosen, level)
    return Estimate(
        value=value,
        low=max(0.0, value - wider * max(0.0, value - float(low))),
        high=min(1.0, value + wider * max(0.0, float(high) - value)),
        n=2 * chosen,
        method=method,
        level=level,
    )


def exposed_images(
    score: Score,
    table: ScoreTable,
    *,
    rng: np.random.Generator,
    alpha: float = 0.01,
    factor: float = 10.0,
    least: int = 10,
) -> Estimate:
    """Largest share of images that are found ``factor`` times as often as chance would.

    Images are ranked on half of the pairs; on the other half each has a rate at which it was
    found, when in, at a false-positive rate of alpha. The share is that of the longest prefix
    of the ranking whose mean rate is at least ``factor * alpha``; its interval comes from the
    interval of that mean over images, at each length. Both directions are averaged. A group
    smaller than ``least`` is not seen, so that the interval never ends below that size.

    Args:
        score: The attack: from a table to scores ``[N, n]``.
        table: At least 8 builds.
        rng: Draws the halves.
        alpha: False-positive rate, the rate of chance.
        factor: Times chance.
        least: A prefix has at least so many images; shorter ones count as none.
    """
    method = say("method.exposed_10x", factor=f"{factor:g}", alpha=f"{alpha:g}")
    n_units = len(np.unique(table.units))
    if table.n_builds < 8 or table.n_images < 2 * least:
        reason = say("reason.builds_and_images", builds=8, images=2 * least)
        return Estimate.unresolvable(n=n_units, method=method, reason=reason)
    others = int((~table.membership).sum(axis=1).min())
    if others < 1 / alpha - 1:
        reason = say("reason.few_in_builds", least=math.ceil(1 / alpha) - 1)
        return Estimate.unresolvable(n=n_units, method=method, reason=reason)
    ends = []
    for chosen, measured in _both_directions(score, table, rng):
        order = np.argsort(-exposure(*chosen), kind="stable")
        counts = found_counts(*measured, alpha=alpha)
        rate = (counts.found / np.maximum(counts.chances, 1))[order]
        length = np.arange(1, len(rate) + 1)
        mean = np.cumsum(rate) / length
        variance = np.maximum(np.cumsum(rate**2) / length - mean**2, 0.0)
        reach = 1.96 * np.sqrt(variance / length)
        ends.append(
            [
                _longest(bound >= factor * alpha, least)
                for bound in (mean, mean - reach, mean + reach)
            ]
        )
    value, low, high = np.mean(ends, axis=0) / table.n_images
    high = max(high, least / table.n_images)
    return Estimate(value=float(value), low=float(low), high=float(high), n=n_units, method=method)


def exposure_stability(
    score: Score, table: ScoreTable, *, rng: np.random.Generator, draws: int = 200
) -> Estimate:
    """Rank correlation of the images' exposures on one half of the builds and on the other.

    Near 1 the same images are exposed whatever the seeds; near 0 the list of exposed images
    of one run says nothing about the next. The interval is normal, from the larger of the
    variances over units (bootstrap) and over pairs of builds (jackknife).
    """
    from scipy.stats import norm

    method = say("method.stability")
    if table.n_builds < 8:
        reason = say("reason.least_builds", builds=8)
        return Estimate.unresolvable(n=len(np.unique(table.units)), method=method, reason=reason)
    halves, _ = _both_directions(score, table, rng)
    first, second = (_exposure_ranks(*half) for half in halves)
    names, inverse = np.unique(table.units, return_inverse=True)
    value = _weighted_correlation(first, second, np.ones(table.n_images, dtype=np.int64))
    drawn = []
    for _ in range(draws):
        weights = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        drawn.append(_weighted_correlation(first, second, weights[inverse]))
    # Each holds the noise of single cells; their sum would count it twice, and covers 98 to 100 %.
    variance = max(float(np.var(drawn, ddof=1)), _pairs_variance(halves, first, second))
    reach = float(norm.ppf(0.975)) * variance**0.5
    return Estimate(
        value=value,
        low=max(-1.0, value - reach),
        high=min(1.0, value + reach),
        n=len(names),
        method=method,
    )


def _exposure_ranks(scores: FloatArray, membership: BoolArray) -> FloatArray:
    ranks: FloatArray = exposure(scores, membership).argsort().argsort().astype(np.float64)
    return ranks


def _pairs_variance(halves: tuple[_Half, _Half], first: FloatArray, second: FloatArray) -> float:
    """Jackknife variance of the correlation over the pairs of builds of each half."""
    ones, variance = np.ones(len(first), dtype=np.int64), 0.0
    for (scores, membership), other in zip(halves, (second, first), strict=True):
        pairs = len(scores) // 2
        left_out = np.array(
            [
                _weighted_correlation(_exposure_ranks(scores[kept], membership[kept]), other, ones)
                for kept in (np.arange(2 * pairs) // 2 != pair for pair in range(pairs))
            ]
        )
        variance += (pairs - 1) / pairs * float(((left_out - left_out.mean()) ** 2).sum())
    return variance


def trace_precision(
    score: Score,
    table: ScoreTable,
    spread: Float[FloatArray, "N n"],
    *,
    rng: np.random.Generator,
    share: float,
) -> Estimate:
    """How well a build's own loss trace points at the members that shadow attacks find.

    Of a build's members the ``share`` with the widest trace is compared with the ``share`` most
    exposed in the half of the builds that this build is not in. Chance gives ``share``.

    Args:
        score: The attack that says what is exposed.
        table: At least 8 builds.
        spread: Interquartile range of each member's loss; NaN for non-members.
        rng: Draws the halves.
        share: In (0, 1).
    """
    method = say("method.traces", share=f"{share:.0%}")
    members = table.membership.sum(axis=1).min()
    if table.n_builds < 8 or round(share * members) < 1:
        reason = say("reason.builds_and_share", builds=8)
        return Estimate.unresolvable(n=table.n_builds, method=method, reason=reason, of_units=False)
    halves = _halves(table, rng)
    values = np.empty(table.n_builds)
    for own, other in (halves, halves[::-1]):
        half = table.with_builds(other)
        exposed = exposure(score(half), half.membership)
        for build in own:
            inside = table.membership[build]
            values[build] = precision_at(spread[build, inside], exposed[inside], share=share)
    return mean_over_builds(values, bounds=(0.0, 1.0))


def _both_directions(
    score: Score, table: ScoreTable, rng: np.random.Generator
) -> tuple[tuple[_Half, _Half], tuple[_Half, _Half]]:
    """Scores and membership of the two halves, each scored with its own shadows only."""
    halves = [table.with_builds(builds) for builds in _halves(table, rng)]
    one, two = [(score(half), half.membership) for half in halves]
    return (one, two), (two, one)


def _longest(enough: BoolArray, least: int) -> int:
    """Length of the longest prefix that is enough, 0 if that is shorter than ``least``."""
    lengths = np.flatnonzero(enough) + 1
    longest = int(lengths.max()) if len(lengths) else 0
    return longest if longest >= least else 0


def _weighted_correlation(one: FloatArray, two: FloatArray, weights: IntArray) -> float:
    one = one - np.average(one, weights=weights)
    two = two - np.average(two, weights=weights)
    product = float((weights * one * two).sum())
    return product / float(np.sqrt((weights * one**2).sum() * (weights * two**2).sum()))


def _halves(table: ScoreTable, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Two random halves of the pairs, as build indices with partners side by side."""
    firsts = rng.permutation(np.flatnonzero(np.arange(table.n_builds) < table.complement))
    middle = len(firsts) // 2
    one, two = (
        np.stack([part, table.complement[part]], axis=1).ravel()
        for part in (firsts[:middle], firsts[middle:])
    )
    return one, two


def _top_units(exposed: FloatArray, units: IntArray, chosen: int) -> IntArray:
    names, inverse, sizes = np.unique(units, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, weights=exposed) / sizes
    top: IntArray = names[np.argsort(-mean, kind="stable")[:chosen]]
    return top


def _few_units(units: int, level: float) -> float:
    """How much wider a bootstrap interval over few units must be: its spread is too small."""
    from scipy.stats import norm, t

    quantile = (1 + level) / 2
    return float(t.ppf(quantile, units - 1)) / float(norm.ppf(quantile))


def _drawn_auc(
    directions: list[tuple[FloatArray, BoolArray, dict[int, IntArray]]], rng: np.random.Generator
) -> float:
    """Mean AUC of one draw: units with replacement, and pairs of builds with replacement.

    A unit that was chosen in both directions is drawn as often in both: it is one unit.
    """
    every = sorted(set().union(*(images for _, _, images in directions)))
    while True:
        times = np.bincount(rng.integers(len(every), size=len(every)), minlength=len(every))
        often = dict(zip(every, times, strict=True))
        if all(any(often[unit] for unit in images) for _, _, images in directions):
            break
    values = []
    for scores, membership, images in directions:
        drawn = np.concatenate([np.repeat(images[unit], often[unit]) for unit in images])
        pairs = rng.integers(len(scores) // 2, size=len(scores) // 2)
        # Both halves of a pair are drawn together, so members and non-members always occur.
        cells = np.ix_(np.concatenate([2 * pairs, 2 * pairs + 1]), drawn)
        values.append(auc(scores[cells], membership[cells]))
    return float(np.mean(values))
