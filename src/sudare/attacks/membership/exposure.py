"""Which images are exposed most, and how badly, without being fooled by having looked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sudare.attacks.membership.base import MembershipTest
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.scores import ScoreTable
from sudare.metrics.roc import auc

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["Exposure", "exposure", "found_counts", "worst_case"]


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
    """Count finds at a per-build threshold with a false-positive rate of at most alpha."""
    found = np.zeros(scores.shape[1], dtype=np.int64)
    for row, inside in zip(scores, membership, strict=True):
        others = np.sort(row[~inside])[::-1]
        threshold = others[int(alpha * len(others))]
        found += inside & (row > threshold)
    return Exposure(found=found, chances=membership.sum(axis=0).astype(np.int64))


def worst_case(
    test: MembershipTest,
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
        test: The membership test.
        table: At least 8 builds.
        rng: Draws the halves and the bootstrap.
        share: Share of units to look at.
        least: At least so many units.
        draws: Bootstrap draws over the chosen units.
        level: Nominal coverage.
    """
    method = f"cross-fitted over halves of the builds; most exposed {share:.0%} of units"
    n_units = len(np.unique(table.units))
    chosen = max(least, round(share * n_units))
    if table.n_builds < 8 or n_units < 2 * chosen:
        reason = f"needs at least 8 builds and {2 * chosen} units"
        return Estimate.unresolvable(n=n_units, method=method, reason=reason)
    halves = [_with_builds(table, builds) for builds in _halves(table, rng)]
    scored = [(test.scores(half), half.membership) for half in halves]
    values, samples = [], []
    for (choose, choose_k), (measure, measure_k) in (scored, scored[::-1]):
        units = _top_units(exposure(choose, choose_k), table.units, chosen)
        images = [np.flatnonzero(table.units == unit) for unit in units]
        every = np.concatenate(images)
        values.append(auc(measure[:, every], measure_k[:, every]))
        samples.append([_drawn_auc(measure, measure_k, images, rng) for _ in range(draws)])
    drawn = np.mean(samples, axis=0)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    value = float(np.mean(values))
    return Estimate(
        value=value,
        low=float(min(low, value)),
        high=float(max(high, value)),
        n=2 * chosen,
        method=method,
        level=level,
    )


def _halves(table: ScoreTable, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Two random halves of the pairs, as build indices with partners side by side."""
    firsts = rng.permutation(np.flatnonzero(np.arange(table.n_builds) < table.complement))
    middle = len(firsts) // 2
    one, two = (
        np.stack([part, table.complement[part]], axis=1).ravel()
        for part in (firsts[:middle], firsts[middle:])
    )
    return one, two


def _with_builds(table: ScoreTable, builds: IntArray) -> ScoreTable:
    position = {int(build): index for index, build in enumerate(builds)}
    return dataclasses.replace(
        table,
        signals={name: values[builds] for name, values in table.signals.items()},
        membership=table.membership[builds],
        complement=np.array([position[int(table.complement[b])] for b in builds]),
    )


def _top_units(exposed: FloatArray, units: IntArray, chosen: int) -> IntArray:
    names, inverse, sizes = np.unique(units, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, weights=exposed) / sizes
    top: IntArray = names[np.argsort(-mean, kind="stable")[:chosen]]
    return top


def _drawn_auc(
    scores: FloatArray, membership: BoolArray, images: list[IntArray], rng: np.random.Generator
) -> float:
    """AUC of one draw: units with replacement, and pairs of builds with replacement."""
    drawn = np.concatenate([images[i] for i in rng.integers(len(images), size=len(images))])
    pairs = rng.integers(len(scores) // 2, size=len(scores) // 2)
    builds = np.concatenate([2 * pairs, 2 * pairs + 1])
    # Both halves of a pair are drawn together, so members and non-members always occur.
    return auc(scores[np.ix_(builds, drawn)], membership[np.ix_(builds, drawn)])
