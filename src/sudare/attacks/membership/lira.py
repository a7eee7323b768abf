"""LiRA: how likely is this score if the image was in, how likely if it was out?"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.membership.shadows import ShadowMoments, shadow_moments
from sudare.core.arrays import FloatArray
from sudare.core.scores import Scale, ScoreTable

__all__ = ["LiRA", "OfflineLiRA"]

_TINY_STD = 1e-30
"""Floor of a standard deviation, as in the reference code; equal shadows do not divide by 0."""

Variance = Literal["auto", "per-example", "fixed"]
_PER_EXAMPLE_FROM = 64
"""Builds from which a per-example variance is worth estimating (Carlini et al. 2022, §V-C)."""


class LiRA(MembershipTest):
    """Online likelihood-ratio attack.

    Attributes:
        variance: ``per-example``, ``fixed`` (one pooled over images, in and out apart), or
            ``auto``: fixed below 64 builds.

    Source:
        Carlini et al. 2022, "Membership inference attacks from first principles", eq. 4;
        log-likelihood ratios are averaged over queries as in the authors' code.
    """

    id: ClassVar[str] = "membership.lira"
    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGIT})

    variance: Variance = "auto"

    def _scores(self, table: ScoreTable) -> FloatArray:
        values = table.pool(self.signal)
        moments = shadow_moments(values, table.membership, table.complement)
        std_in, std_out = _standard_deviations(moments, self.variance, table.n_builds)
        ratio = _log_normal(values, moments.mean_in, std_in) - _log_normal(
            values, moments.mean_out, std_out
        )
        score: FloatArray = ratio.mean(axis=2)
        return score


class OfflineLiRA(MembershipTest):
    """Offline likelihood-ratio attack: only shadows without the image are needed.

    Attributes:
        variance: As for ``LiRA``.
        tail: ``one-sided`` scores how rarely a non-member would score as high (the paper's
            test); ``reference`` is the two-sided density of the authors' code, which calls
            very low scores members too and loses much AUC.

    Source:
        Carlini et al. 2022, §V-B.
    """

    id: ClassVar[str] = "membership.lira_offline"
    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGIT})

    variance: Variance = "auto"
    tail: Literal["one-sided", "reference"] = "one-sided"

    def _scores(self, table: ScoreTable) -> FloatArray:
        from scipy.special import log_ndtr

        values = table.pool(self.signal)
        moments = shadow_moments(values, table.membership, table.complement)
        _, std_out = _standard_deviations(moments, self.variance, table.n_builds)
        if self.tail == "reference":
            density = _log_normal(values, moments.mean_out, std_out)
            unlikely: FloatArray = -density.mean(axis=2)
            return unlikely
        # -log Pr[Z >= phi]: unlike the probability itself it does not saturate into ties.
        tail = log_ndtr((moments.mean_out - values) / std_out)
        surprise: FloatArray = -tail.mean(axis=2)
        return surprise


def _standard_deviations(
    moments: ShadowMoments, variance: Variance, builds: int
) -> tuple[FloatArray, FloatArray]:
    fixed = variance == "fixed" or (variance == "auto" and builds < _PER_EXAMPLE_FROM)
    if not fixed:
        return np.sqrt(moments.var_in) + _TINY_STD, np.sqrt(moments.var_out) + _TINY_STD
    # Pooled within images. The authors' code takes one std over all images, which adds the
    # spread between images; within a target the ranking is the same, and so online.
    pooled = (
        moments.var_in.mean(axis=1, keepdims=True) + moments.var_out.mean(axis=1, keepdims=True)
    ) / 2
    out = moments.var_out.mean(axis=1, keepdims=True)
    return np.sqrt(pooled) + _TINY_STD, np.sqrt(out) + _TINY_STD


def _log_normal(values: FloatArray, mean: FloatArray, std: FloatArray) -> FloatArray:
    """Log-density of a normal, without the constant that cancels in every use."""
    return -np.log(std) - ((values - mean) / std) ** 2 / 2
