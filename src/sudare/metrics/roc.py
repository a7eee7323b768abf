"""Exact ROC points, ties grouped, no interpolation: what is true near zero false positives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, FloatArray
from sudare.core.errors import AuditError
from sudare.core.wording import say

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

LEAST_UNITS = 30
"""Distinct units a side from which on bootstrap intervals cover what they say:
``benchmarks/membership/coverage``, table of few units."""

_USED = 0.9
"""A threshold that uses less of a false-positive rate than this, and a pair, is held up by ties."""


@dataclass(frozen=True, eq=False)
class Roc:
    """A ROC curve: one point for each distinct score, from (0, 0) to (1, 1).

    Attributes:
        fpr: ``float64 [k]``, false-positive rate of "member if score >= threshold".
        tpr: ``float64 [k]``, true-positive rate.
        threshold: ``float64 [k]``, descending; the first is infinite.
    """

    fpr: Float[FloatArray, " k"]
    tpr: Float[FloatArray, " k"]
    threshold: Float[FloatArray, " k"]

    @property
    def auc(self) -> float:
        """Area under the curve; ties count one half (trapezoids over grouped ties)."""
        return float(np.sum(np.diff(self.fpr) * (self.tpr[1:] + self.tpr[:-1]) / 2))

    def tpr_at(self, alpha: float) -> float:
        """Largest true-positive rate among points with ``fpr <= alpha``."""
        return float(self.tpr[self.fpr <= alpha].max())

    def tied_at(self, alpha: float, *, non_members: int) -> str:
        """Why ties leave no threshold near this false-positive rate, or an empty string.

        A block of equal scores is called member as a whole or not at all. Where the block around
        the rate is large, the TPR within the rate is that of a much smaller one, and reads as
        "found nothing" where guessing among the tied would find more.

        Args:
            alpha: False-positive rate.
            non_members: Scores of non-members behind the curve.
        """
        below = float(self.fpr[self.fpr <= alpha].max())
        if below >= _USED * alpha - 1 / non_members:
            return ""
        above = float(self.fpr[self.fpr > alpha].min())
        return say("reason.tied", below=f"{below:.3g}", above=f"{above:.3g}")


def roc(scores: Float[FloatArray, "*shape"], members: Bool[BoolArray, "*shape"]) -> Roc:
    """The exact ROC of scores (higher: more likely a member), of any shape.

    Raises:
        AuditError: NaN scores, or no members or no non-members.
    """
    flat, positive = np.ravel(scores).astype(np.float64), np.ravel(members)
    if np.isnan(flat).any():
        raise AuditError("scores hold NaN", fix="A score must be a number for every image.")
    if positive.all() or not positive.any():
        raise AuditError("a ROC needs members and non-members")
    order = np.argsort(-flat, kind="stable")
    ordered, positive = flat[order], positive[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    true = np.append(0, np.cumsum(positive)[ends])
    false = np.append(0, np.cumsum(~positive)[ends])
    return Roc(
        fpr=false / false[-1],
        tpr=true / true[-1],
        threshold=np.append(np.inf, ordered[ends]),
    )


def auc(scores: Float[FloatArray, "*shape"], members: Bool[BoolArray, "*shape"]) -> float:
    """Area under the exact ROC: the chance that a member outscores a non-member, ties half.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True]))
    0.875
    """
    return roc(scores, members).auc


def tpr_at_fpr(
    scores: Float[FloatArray, "*shape"], members: Bool[BoolArray, "*shape"], alpha: float
) -> float:
    """Largest true-positive rate of a threshold whose false-positive rate is at most alpha."""
    return roc(scores, members).tpr_at(alpha)


def enough_units(member_units: int, non_member_units: int) -> str:
    """Why an attack cannot be judged on so few distinct units a side, or an empty string."""
    few = min(member_units, non_member_units)
    if few >= LEAST_UNITS:
        return ""
    return say("reason.few_units", least=LEAST_UNITS)


def resolvable(alpha: float, *, non_member_units: int, non_member_pairs: int) -> str:
    """Why a TPR at this false-positive rate cannot be resolved, or an empty string.

    Args:
        alpha: False-positive rate in (0, 1).
        non_member_units: Distinct units that are non-members of some target.
        non_member_pairs: (target, image) pairs that are non-members, over all targets.
    """
    # The tolerance keeps 1 / 0.001 == 1000 from being decided by rounding.
    if non_member_units < 1 / alpha * (1 - 1e-9):
        return say("reason.few_other_units", least=f"{round(1 / alpha):,}")
    if non_member_pairs < 10 / alpha * (1 - 1e-9):
        return say("reason.few_other_scores", least=f"{round(10 / alpha):,}")
    return ""
