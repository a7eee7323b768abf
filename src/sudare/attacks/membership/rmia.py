"""RMIA: is the image likelier under the target than under models at large, compared with others?"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from sudare.attacks.membership.base import MembershipTest
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.scores import Scale, ScoreTable

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["RMIA", "OfflineRMIA"]

_LEAST_PRIOR = 1e-12


class _RMIA(MembershipTest):
    """What the online and the offline form share.

    Attributes:
        gamma: The factor by which the image must beat a population image, at least 1.
    """

    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGIT})

    gamma: float = Field(default=2.0, ge=1.0)

    def calibrated(self, table: ScoreTable) -> Float[FloatArray, "N n"]:
        """Share of population images z with ratio(x) / ratio(z) > gamma, in [0, 1].

        With several queries a z counts if most queries say so. One query is done by sorting.

        Raises:
            AuditError: The table has no population.
        """
        if table.labels.shape[0] == table.n_images:
            raise AuditError(
                f"{self.id} cannot be calibrated without population images",
                fix="Set data.population to a few hundred or more.",
            )
        ratio_x, ratio_z = self._log_ratios(table)
        threshold = ratio_x - np.log(self.gamma)
        builds, images, queries = ratio_x.shape
        share = np.empty((builds, images))
        for target in range(builds):
            if queries == 1:
                ranked = np.sort(ratio_z[target, :, 0])
                below = np.searchsorted(ranked, threshold[target, :, 0], side="left")
                share[target] = below / len(ranked)
            else:
                share[target] = _vote(threshold[target], ratio_z[target])
        return share

    def _scores(self, table: ScoreTable) -> FloatArray:
        # For a fixed target the population does not change the ranking (one query); the
        # log-ratio itself ranks without the ties of a share. Several queries: their median.
        ratio_x, _ = self._log_ratios(table)
        median: FloatArray = np.median(ratio_x, axis=2)
        return median

    def _log_ratios(self, table: ScoreTable) -> tuple[FloatArray, FloatArray]:
        """Log p_target - log p_reference on the pool and on the population."""
        log_x, log_z = (
            _log_confidence(table.pool(self.signal)),
            _log_confidence(table.population(self.signal)),
        )
        prior_x = self._reference_pool(np.exp(log_x), table)
        prior_z = self._reference_population(np.exp(log_z), table)
        # The sums behind a prior are exact to about 1e-16; below the floor only rounding is left.
        ratio_x = log_x - np.log(np.maximum(prior_x, _LEAST_PRIOR))
        ratio_z = log_z - np.log(np.maximum(prior_z, _LEAST_PRIOR))
        return ratio_x, ratio_z

    @abstractmethod
    def _reference_pool(self, confidence: FloatArray, table: ScoreTable) -> FloatArray:
        """p(x) of each target from its shadows."""

    @abstractmethod
    def _reference_population(self, confidence: FloatArray, table: ScoreTable) -> FloatArray:
        """p(z) of each target from its shadows."""


class RMIA(_RMIA):
    """Online RMIA: p(x) is the mean confidence of shadows with and without the image.

    Source:
        Zarifzadeh, Liu and Shokri 2024, "Low-cost high-power membership inference attacks",
        eq. 4 and 9; plain softmax confidences. Population images are in no build, so p(z)
        averages shadows that are all "out".
    """

    id: ClassVar[str] = "membership.rmia"

    def _reference_pool(self, confidence: FloatArray, table: ScoreTable) -> FloatArray:
        return _mean_of_others(confidence, table.complement)

    def _reference_population(self, confidence: FloatArray, table: ScoreTable) -> FloatArray:
        return _mean_of_others(confidence, table.complement)


class OfflineRMIA(_RMIA):
    """Offline RMIA: p(x) is extrapolated from shadows without the image.

    Attributes:
        a: How much training on an image moves its confidence: p(x) =
            ((1 + a) p_out(x) + 1 - a) / 2. 1 leaves p_out as it is.

    Source:
        Zarifzadeh, Liu and Shokri 2024, eq. 10.
    """

    id: ClassVar[str] = "membership.rmia_offline"

    a: float = Field(default=1.0, ge=0.0, le=1.0)

    def _reference_pool(self, confidence: FloatArray, table: ScoreTable) -> FloatArray:
        out = np.where(table.membership[:, :, None], 0.0, confidence)
        partner = out[table.complement]
        # Of a target and its complement exactly one is "out"; the other adds zero.
        mean_out = (out.sum(axis=0, keepdims=True) - out - partner) / (table.n_builds // 2 - 1)
        return self._extrapolate(mean_out)

    def _reference_population(self, confidence: FloatArray, table: ScoreTable) -> FloatArray:
        return self._extrapolate(_mean_of_others(confidence, table.complement))

    def _extrapolate(self, mean_out: FloatArray) -> FloatArray:
        return ((1 + self.a) * mean_out + 1 - self.a) / 2


def _log_confidence(phi: FloatArray) -> FloatArray:
    """Log sigmoid(phi) = -softplus(-phi), exact for large |phi|."""
    confidence: FloatArray = -np.logaddexp(0.0, -phi)
    # Far below zero the exponential underflows; the floor keeps its logarithm finite.
    return np.maximum(confidence, -700.0)


def _mean_of_others(values: FloatArray, complement: IntArray) -> FloatArray:
    """Mean over all builds but each target and its complement."""
    total = values.sum(axis=0, keepdims=True)
    mean: FloatArray = (total - values - values[complement]) / (len(values) - 2)
    return mean


def _vote(threshold: FloatArray, ratio_z: FloatArray) -> FloatArray:
    """Share of z beaten in more than half of the queries; ``[n, Q]`` against ``[m, Q]``."""
    images, queries = threshold.shape
    share = np.empty(images)
    step = max(1, 8_000_000 // (len(ratio_z) * queries))
    for at in range(0, images, step):
        wins = (ratio_z[None] < threshold[at : at + step, None]).sum(axis=2)
        share[at : at + step] = (2 * wins > queries).mean(axis=1)
    return share
