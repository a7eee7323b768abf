"""Intervals of an audit: bootstrap over units, each with all its targets, threshold redrawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.estimates import Estimate
from sudare.core.wording import say
from sudare.metrics.roc import enough_units, resolvable, roc

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_SIDE_DRAWS = 200
"""Draws of a variance, where an interval needs a thousand."""
_Weights: TypeAlias = npt.NDArray[Any]
_CHUNK_ENTRIES = 8_000_000


@dataclass(frozen=True, kw_only=True)
class AttackEstimates:
    """How well scores tell members from non-members, pooled over targets.

    Attributes:
        auc: Area under the exact ROC, or unresolvable where a side has too few units.
        tpr_at: False-positive rate to the TPR there, or unresolvable with the reason.
        balanced_accuracy: Mean of the rates of right answers on members and on non-members when
            as many of each target's highest scores are called "member" as there are members,
            so that no threshold is fitted.
        deviations: ``float64 [draws]``, how far the AUC of each draw is from the value, in widths
            of the interval on that side; empty where there is none. Attacks that were given the
            same draws of units are compared by them draw by draw.
    """

    auc: Estimate
    tpr_at: dict[float, Estimate]
    balanced_accuracy: Estimate
    deviations: Float[FloatArray, " draws"] = field(default_factory=lambda: np.zeros(0))


def simultaneous(deviations: Sequence[Float[FloatArray, " draws"]], level: float = 0.95) -> float:
    """How many times as far ends must be to hold for several attacks at once (max statistic).

    Args:
        deviations: Of each attack, from the same draws of units.
        level: Nominal coverage of all intervals together.

    Returns:
        The quantile of the largest deviation of each draw, at least 1.

    Source:
        Romano and Wolf 2005, "Exact and approximate stepdown methods for multiple hypothesis
        testing" (the single step).

    >>> simultaneous([np.array([0.5, 1.0, -1.0]), np.array([0.0, 0.2, 3.0])], level=0.5)
    1.0
    """
    known = [each for each in deviations if len(each)]
    if not known:
        return 1.0
    largest = np.nanmax(np.abs(np.stack(known)), axis=0)
    return max(1.0, float(np.nanquantile(largest, level)))


def membership_estimates(
    scores: Float[FloatArray, "N n"],
    membership: Bool[BoolArray, "N n"],
    units: Int[IntArray, " n"],
    *,
    rng: np.random.Generator,
    alphas: Sequence[float] = (0.1, 0.01, 0.001, 0.0001),
    draws: int = 1000,
    level: float = 0.95,
) -> AttackEstimates:
    """AUC, TPR at low FPR and balanced accuracy with intervals over units.

    The estimand is the attack's expected value at this number of builds, size and pool.
    A draw takes units with replacement, each with its scores in every target, and recomputes
    the threshold: an interval around a threshold taken from the same scores would cover
    far less than it says. What builds have in common (one may be worse calibrated than another)
    moves all units at once and is not seen by drawing units; with more than one pair of
    targets the interval is widened by the two-way variance: of units, plus that of pairs,
    less that of single cells, which both contain (Cameron, Gelbach and Miller 2011).

    Args:
        scores: ``float64 [N, n]``, higher for members.
        membership: ``bool [N, n]``.
        units: ``int64 [n]``.
        rng: Source of the draws.
        alphas: False-positive rates.
        draws: Bootstrap draws.
        level: Nominal coverage.

    Raises:
        AuditError: NaN scores or shapes that do not fit.
    """
    if scores.shape != membership.shape or units.shape != scores.shape[1:]:
        raise AuditError(f"scores {scores.shape} do not fit membership {membership.shape}")
    curve, how = roc(scores, membership), say("method.bootstrap")
    _, unit_of_image = np.unique(units, return_inverse=True)
    n_units = int(unit_of_image.max()) + 1
    member_units, other_units = (
        len(np.unique(unit_of_image[side.any(axis=0)])) for side in (membership, ~membership)
    )
    if few := enough_units(member_units, other_units):
        none = Estimate.unresolvable(n=n_units, method=how, reason=few)
        return AttackEstimates(auc=none, tpr_at=dict.fromkeys(alphas, none), balanced_accuracy=none)
    counts = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=draws)
    sample = _Sample(scores, membership, unit_of_image, tuple(alphas))
    step = max(1, _CHUNK_ENTRIES // scores.size)
    drawn = np.concatenate(
        [sample.statistics(counts[at : at + step]) for at in range(0, draws, step)]
    )
    values = np.array([curve.auc, sample.half_accuracy, *(curve.tpr_at(a) for a in alphas)])
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    wider = _widening(scores, membership, unit_of_image, tuple(alphas), drawn, rng, level)
    reach = np.where(drawn[:, 0] < values[0], values[0] - low[0], high[0] - values[0])
    deviations = (drawn[:, 0] - values[0]) / np.maximum(reach, np.finfo(np.float64).tiny)
    low = np.clip(values - wider * (values - low), 0.0, 1.0)
    high = np.clip(values + wider * (high - values), 0.0, 1.0)

    def estimate(index: int, method: str = how) -> Estimate:
        return Estimate(
            value=float(values[index]),
            low=float(min(low[index], values[index])),
            high=float(max(high[index], values[index])),
            n=n_units,
            method=method,
            level=level,
        )

    pairs = int((~membership).sum())
    tpr_at = {}
    for index, alpha in enumerate(alphas):
        reason = resolvable(alpha, non_member_units=other_units, non_member_pairs=pairs)
        reason = reason or curve.tied_at(alpha, non_members=pairs)
        tpr_at[alpha] = (
            Estimate.unresolvable(n=n_units, method=how, reason=reason)
            if reason
            else estimate(index + 2)
        )
    half = say("method.bootstrap_half")
    return AttackEstimates(
        auc=estimate(0),
        tpr_at=tpr_at,
        balanced_accuracy=estimate(1, half),
        deviations=deviations if reach.any() else np.zeros(0),
    )


def _widening(
    scores: FloatArray,
    membership: BoolArray,
    unit_of_image: IntArray,
    alphas: tuple[float, ...],
    drawn: FloatArray,
    rng: np.random.Generator,
    level: float,
) -> FloatArray:
    """How much wider than units alone say each interval must be, at least 1."""
    from scipy.stats import norm, t

    targets = len(scores)
    complementary = targets > 2 and np.array_equal(membership[0::2], ~membership[1::2])
    if not complementary:
        return np.ones(drawn.shape[1])
    pairs, n_units = targets // 2, int(unit_of_image.max()) + 1
    pair = np.broadcast_to(np.repeat(np.arange(pairs), 2)[:, None], scores.shape)
    of_pairs, of_cells = (
        _variance(_Sample(scores, membership, clusters, alphas), count, scores.size, rng)
        for clusters, count in ((pair, pairs), (pair * n_units + unit_of_image, pairs * n_units))
    )
    of_units = np.maximum(np.nanvar(drawn, axis=0), np.finfo(np.float64).tiny)
    excess = np.maximum(of_pairs - of_cells, 0.0)
    share = excess / (excess + of_units)
    # A variance of few pairs is itself uncertain: Student's quantile where it rules.
    quantile = (1 + level) / 2
    heavier = float(t.ppf(quantile, pairs - 1) / norm.ppf(quantile))
    wider: FloatArray = np.sqrt(1 + excess / of_units) * (1 + share * (heavier - 1))
    return wider


def _variance(sample: _Sample, clusters: int, size: int, rng: np.random.Generator) -> FloatArray:
    """Bootstrap variance of each statistic over some clusters."""
    step = max(1, _CHUNK_ENTRIES // max(size, clusters))
    statistics = []
    for at in range(0, _SIDE_DRAWS, step):
        draws = min(step, _SIDE_DRAWS - at)
        counts = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=draws)
        statistics.append(sample.statistics(counts))
    variance: FloatArray = np.nanvar(np.concatenate(statistics), axis=0)
    return variance * clusters / (clusters - 1)


class _Sample:
    """Scores sorted once; a draw only re-weights them.

    Members and non-members are sorted apart, highest first. A block of draws is a matrix with a
    row for each score and a column for each draw, so that gathering and summing run along
    memory.
    """

    def __init__(
        self,
        scores: FloatArray,
        membership: BoolArray,
        cluster: IntArray,
        alphas: tuple[float, ...],
    ) -> None:
        units = np.broadcast_to(cluster, scores.shape)
        self.alphas = alphas
        self.member_unit, member_scores = _descending(scores[membership], units[membership])
        self.other_unit, other_scores = _descending(scores[~membership], units[~membership])
        # For each member: how many non-members score higher, and how many at least as high.
        self.higher, self.as_high = (
            np.searchsorted(-other_scores, -member_scores, side=side) for side in ("left", "right")
        )
        # For each non-member: how many members score higher.
        self.members_above = np.searchsorted(-member_scores, -other_scores, side="left")
        # Sums of weights stay whole numbers that float32 holds exactly up to 2**24.
        self.dtype = np.dtype(np.float32 if scores.size < 2**24 else np.float64)
        self._prepare_halves(scores, membership, units)

    def _prepare_halves(self, scores: FloatArray, membership: BoolArray, units: IntArray) -> None:
        called = _called_members(scores, membership.sum(axis=1))
        right = np.where(membership, called, 1 - called)
        n_units = int(units.max()) + 1
        self.right_in, self.right_out, self.n_in, self.n_out = (
            np.bincount(units.ravel(), weights=column.ravel(), minlength=n_units)
            for column in (right * membership, right * ~membership, membership, ~membership)
        )
        self.half_accuracy = float(self._half(np.ones((1, n_units)))[0])

    def statistics(self, counts: IntArray) -> FloatArray:
        """AUC, balanced accuracy and TPRs of each draw, ``float64 [draws, 2 + alphas]``."""
        weights = np.ascontiguousarray(counts.T, dtype=self.dtype)
        zero = np.zeros((1, len(counts)), dtype=self.dtype)
        others = np.concatenate([zero, np.cumsum(weights[self.other_unit], axis=0)])
        member = weights[self.member_unit]
        negatives = others[-1].astype(np.float64)
        positives = member.sum(axis=0, dtype=np.float64)
        lost = (member * others[self.higher]).sum(axis=0, dtype=np.float64)
        lost += (member * others[self.as_high]).sum(axis=0, dtype=np.float64)
        columns = [1 - lost / (2 * positives * negatives), self._half(counts)]
        columns += [self._tpr(alpha, others, member, positives) for alpha in self.alphas]
        return np.stack(columns, axis=1)

    def _tpr(
        self, alpha: float, others: _Weights, member: _Weights, positives: FloatArray
    ) -> FloatArray:
        """TPR of the lowest threshold whose false positives stay within alpha, by draw."""
        rates = np.empty(len(positives))
        for draw, total in enumerate(positives):
            column = others[1:, draw]
            within = int(np.searchsorted(column, alpha * column[-1], side="right"))
            # The first non-member that is too many shuts out everybody at or below its score.
            admitted = len(member) if within == len(column) else self.members_above[within]
            rates[draw] = member[:admitted, draw].sum(dtype=np.float64) / total
        return rates

    def _half(self, counts: FloatArray | IntArray) -> FloatArray:
        members = (counts @ self.right_in) / (counts @ self.n_in)
        others = (counts @ self.right_out) / (counts @ self.n_out)
        halved: FloatArray = (members + others) / 2
        return halved


def _called_members(scores: FloatArray, members: IntArray) -> FloatArray:
    """1 for each target's highest scores, as many as it has members; ties share what is left."""
    ordered = -np.sort(-scores, axis=1)
    cut = np.take_along_axis(ordered, members[:, None] - 1, axis=1)
    above, tied = scores > cut, scores == cut
    left = members[:, None] - above.sum(axis=1, keepdims=True)
    called: FloatArray = above + tied * (left / tied.sum(axis=1, keepdims=True))
    return called


def _descending(scores: FloatArray, units: IntArray) -> tuple[IntArray, FloatArray]:
    order = np.argsort(-scores, kind="stable")
    return units[order], scores[order]
