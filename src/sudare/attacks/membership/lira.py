"""LiRA: how likely is this score if the image was in, how likely if it was out?"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.membership.shadows import ShadowMoments, block_moments, pooled_covariance
from sudare.core.arrays import FloatArray
from sudare.core.scores import Scale, ScoreTable

if TYPE_CHECKING:
    from jaxtyping import Float

_TINY_STD = 1e-30
"""Floor of a standard deviation, as in the reference code; equal shadows do not divide by 0."""
_RIDGE = 1e-9
"""Share of the mean variance added to a covariance: identical queries stay invertible."""

Variance = Literal["auto", "per-example", "fixed"]
Queries = Literal["average", "multivariate"]
_PER_EXAMPLE_FROM = 64
"""Builds from which a per-example variance is worth estimating (Carlini et al. 2022, §V-C)."""


class _LiRA(MembershipTest):
    """What the online and the offline form share.

    Attributes:
        variance: ``per-example``, ``fixed`` (one pooled over images), or ``auto``: fixed below
            64 builds.
        queries: ``average`` averages over queries what each says, as in the authors' code;
            ``multivariate`` is the joint normal of the paper, with the correlation of the
            queries pooled over images.
    """

    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGIT})

    variance: Variance = "auto"
    queries: Queries = "average"

    _pool_in: ClassVar[bool]

    def _scores(self, table: ScoreTable) -> FloatArray:
        # Two passes over blocks of images: what is pooled over images, then the scores.
        fixed = _is_fixed(self.variance, table.n_builds)
        joint = self.queries == "multivariate"
        pooled = (
            pooled_covariance(table, self.signal, inside=self._pool_in) if fixed or joint else None
        )
        std = None if pooled is None else np.sqrt(np.diagonal(pooled, axis1=1, axis2=2)) + _TINY_STD
        precision = None if pooled is None or not joint else _precision(pooled)
        scores = np.empty(table.membership.shape)
        for columns, values in table.blocks(self.signal):
            moments = block_moments(values, table.membership[:, columns], table.complement)
            spread = std[:, None, :] if fixed and std is not None else None
            scores[:, columns] = self._block(values, moments, spread, precision)
        return scores

    @abstractmethod
    def _block(
        self,
        values: FloatArray,
        moments: ShadowMoments,
        std: FloatArray | None,
        precision: FloatArray | None,
    ) -> FloatArray:
        """Scores of some images.

        Args:
            values: ``[N, b, Q]``.
            moments: Of the shadows.
            std: ``[N, 1, Q]`` if pooled, else None: per example.
            precision: ``[N, Q, Q]``, inverse correlation of the queries, or None to average.
        """


class LiRA(_LiRA):
    """Online likelihood-ratio attack.

    Source:
        Carlini et al. 2022, "Membership inference attacks from first principles", eq. 4.
        The fixed deviation pools within images, in and out together; the authors' code takes
        one deviation over all images, which adds the spread between them.
    """

    id: ClassVar[str] = "membership.lira"

    _pool_in: ClassVar[bool] = True

    def _block(
        self,
        values: FloatArray,
        moments: ShadowMoments,
        std: FloatArray | None,
        precision: FloatArray | None,
    ) -> FloatArray:
        std_in = std if std is not None else np.sqrt(moments.var_in) + _TINY_STD
        std_out = std if std is not None else np.sqrt(moments.var_out) + _TINY_STD
        return _log_normal(values, moments.mean_in, std_in, precision) - _log_normal(
            values, moments.mean_out, std_out, precision
        )


class OfflineLiRA(_LiRA):
    """Offline likelihood-ratio attack: only shadows without the image are needed.

    Attributes:
        tail: ``one-sided`` scores how rarely a non-member would score as high (the paper's
            test); ``reference`` is the two-sided density of the authors' code, which calls
            very low scores members too and loses much AUC.

    Source:
        Carlini et al. 2022, §V-B. Several queries, jointly: the best linear test against a
        shift of all of them alike.
    """

    id: ClassVar[str] = "membership.lira_offline"

    tail: Literal["one-sided", "reference"] = "one-sided"

    _pool_in: ClassVar[bool] = False

    def _block(
        self,
        values: FloatArray,
        moments: ShadowMoments,
        std: FloatArray | None,
        precision: FloatArray | None,
    ) -> FloatArray:
        from scipy.special import log_ndtr

        std_out = std if std is not None else np.sqrt(moments.var_out) + _TINY_STD
        if self.tail == "reference":
            return -_log_normal(values, moments.mean_out, std_out, precision)
        deviation = (values - moments.mean_out) / std_out
        if precision is not None:
            weight = precision.sum(axis=2)
            norm = np.sqrt(weight.sum(axis=1))[:, None]
            joint = np.einsum("tjq,tq->tj", deviation, weight) / norm
            return -np.asarray(log_ndtr(-joint))
        # -log Pr[Z >= phi]: unlike the probability itself it does not saturate into ties.
        surprise: FloatArray = -log_ndtr(-deviation).mean(axis=2)
        return surprise


def _is_fixed(variance: Variance, builds: int) -> bool:
    return variance == "fixed" or (variance == "auto" and builds < _PER_EXAMPLE_FROM)


def _precision(covariance: Float[FloatArray, "N Q Q"]) -> Float[FloatArray, "N Q Q"]:
    """Inverse of the correlation matrices, each stabilised by a hair."""
    std = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)) + _TINY_STD
    correlation = covariance / (std[:, :, None] * std[:, None, :])
    ridge = _RIDGE * np.eye(covariance.shape[1])
    return np.asarray(np.linalg.inv(correlation + ridge), dtype=np.float64)


def _log_normal(
    values: FloatArray, mean: FloatArray, std: FloatArray, precision: FloatArray | None
) -> FloatArray:
    """Log-density without the constant that cancels; averaged over queries, or joint."""
    deviation = (values - mean) / std
    if precision is None:
        average: FloatArray = -(np.log(std) + deviation**2 / 2).mean(axis=2)
        return average
    square = np.einsum("tjq,tqr,tjr->tj", deviation, precision, deviation, optimize=True)
    joint: FloatArray = -np.log(std).sum(axis=2) - square / 2
    return joint
