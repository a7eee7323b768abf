"""Intervals of an audit: bootstrap over units, each with all its targets, threshold redrawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.estimates import Estimate
from sudare.metrics.roc import resolvable, roc

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["AttackEstimates", "membership_estimates"]

METHOD = "percentile bootstrap over units, threshold recomputed per draw"
_Weights: TypeAlias = npt.NDArray[Any]
_CHUNK_ENTRIES = 8_000_000


@dataclass(frozen=True, kw_only=True)
class AttackEstimates:
    """How well scores tell members from non-members, pooled over targets.

    Attributes:
        auc: Area under the exact ROC.
        tpr_at: False-positive rate to the TPR there, or unresolvable with the reason.
        balanced_accuracy: Accuracy when the upper half of each target's scores is called
            "member"; half of the images are, so no threshold is fitted.
    """

    auc: Estimate
    tpr_at: dict[float, Estimate]
    balanced_accuracy: Estimate


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
    far less than it says.

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
    curve = roc(scores, membership)
    _, unit_of_image = np.unique(units, return_inverse=True)
    n_units = int(unit_of_image.max()) + 1
    counts = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=draws)
    sample = _Sample(scores, membership, unit_of_image, tuple(alphas))
    step = max(1, _CHUNK_ENTRIES // scores.size)
    drawn = np.concatenate(
        [sample.statistics(counts[at : at + step]) for at in range(0, draws, step)]
    )
    values = np.array([curve.auc, sample.half_accuracy, *(curve.tpr_at(a) for a in alphas)])
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)

    def estimate(index: int, method: str = METHOD) -> Estimate:
        return Estimate(
            value=float(values[index]),
            low=float(min(low[index], values[index])),
            high=float(max(high[index], values[index])),
            n=n_units,
            method=method,
            level=level,
        )

    pairs = int((~membership).sum())
    non_member_units = len(np.unique(unit_of_image[(~membership).any(axis=0)]))
    tpr_at = {}
    for index, alpha in enumerate(alphas):
        reason = resolvable(alpha, non_member_units=non_member_units, non_member_pairs=pairs)
        tpr_at[alpha] = (
            Estimate.unresolvable(n=n_units, method=METHOD, reason=reason)
            if reason
            else estimate(index + 2)
        )
    half = "percentile bootstrap over units; upper half of each target called members"
    return AttackEstimates(auc=estimate(0), tpr_at=tpr_at, balanced_accuracy=estimate(1, half))


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
        unit_of_image: IntArray,
        alphas: tuple[float, ...],
    ) -> None:
        units = np.broadcast_to(unit_of_image, scores.shape)
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
        self._prepare_halves(scores, membership, unit_of_image)

    def _prepare_halves(
        self, scores: FloatArray, membership: BoolArray, unit_of_image: IntArray
    ) -> None:
        median = np.median(scores, axis=1, keepdims=True)
        called = np.where(scores == median, 0.5, scores > median)
        right = np.where(membership, called, 1 - called)
        n_units = int(unit_of_image.max()) + 1
        self.right_in, self.right_out, self.n_in, self.n_out = (
            np.bincount(unit_of_image, weights=column.sum(axis=0), minlength=n_units)
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


def _descending(scores: FloatArray, units: IntArray) -> tuple[IntArray, FloatArray]:
    order = np.argsort(-scores, kind="stable")
    return units[order], scores[order]
