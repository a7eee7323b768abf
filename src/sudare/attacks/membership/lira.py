"""LiRA: how likely is this score if the image was in, how likely if it was out?"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.membership.shadows import shadow_moments
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
        if _is_fixed(self.variance, table.n_builds):
            std_in = std_out = _pooled(moments.var_in, moments.var_out)
        else:
            std_in, std_out = (np.sqrt(v) + _TINY_STD for v in (moments.var_in, moments.var_out))
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
        fixed = _is_fixed(self.variance, table.n_builds)
        std_out = _pooled(moments.var_out) if fixed else np.sqrt(moments.var_out) + _TINY_STD
        if self.tail == "reference":
            density = _log_normal(values, moments.mean_out, std_out)
            unlikely: FloatArray = -density.mean(axis=2)
            return unlikely
        # -log Pr[Z >= phi]: unlike the probability itself it does not saturate into ties.
        tail = log_ndtr((moments.mean_out - values) / std_out)
        surprise: FloatArray = -tail.mean(axis=2)
        return surprise


def _is_fixed(variance: Variance, builds: int) -> bool:
    return variance == "fixed" or (variance == "auto" and builds < _PER_EXAMPLE_FROM)


def _pooled(*variances: FloatArray) -> FloatArray:
    """One standard deviation for all images of a target, pooled within images.

    The authors' code takes one deviation over all images, which adds the spread between
    them. It only scales the online score of a target, so the ranking within one is the same.
    """
    mean: FloatArray = np.mean([v.mean(axis=1, keepdims=True) for v in variances], axis=0)
    return np.sqrt(mean) + _TINY_STD


def _log_normal(values: FloatArray, mean: FloatArray, std: FloatArray) -> FloatArray:
    """Log-density of a normal, without the constant that cancels in every use."""
    return -np.log(std) - ((values - mean) / std) ** 2 / 2
