"""RMIA: is the image likelier under the target than under models at large, compared with others?"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sudare.attacks.membership.base import MembershipTest
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.scores import Scale, ScoreTable
from sudare.metrics.roc import auc

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["RMIA", "OfflineRMIA"]

_LEAST_PRIOR = 1e-12
_GRID = tuple(step / 10 for step in range(11))


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
        a = self._extrapolations(table)
        nobody = np.zeros((table.n_builds, table.labels.shape[0] - table.n_images), dtype=bool)
        ratio_z = self._log_ratio(
            table.population(self.signal), nobody, table.complement, a, in_no_build=True
        )
        builds, _, queries = ratio_z.shape
        ranked = np.sort(ratio_z[:, :, 0], axis=1) if queries == 1 else None
        share = np.empty(table.membership.shape)
        for columns, values in table.blocks(self.signal):
            ratio_x = self._log_ratio(values, table.membership[:, columns], table.complement, a)
            threshold = ratio_x - np.log(self.gamma)
            for target in range(builds):
                if ranked is None:
                    share[target, columns] = _vote(threshold[target], ratio_z[target])
                else:
                    below = np.searchsorted(ranked[target], threshold[target, :, 0], side="left")
                    share[target, columns] = below / ranked.shape[1]
        return share

    def _scores(self, table: ScoreTable) -> FloatArray:
        # For a fixed target the population does not change the ranking (one query); the
        # log-ratio itself ranks without the ties of a share. Several queries: their median.
        a = self._extrapolations(table)
        scores = np.empty(table.membership.shape)
        for columns, values in table.blocks(self.signal):
            ratio = self._log_ratio(values, table.membership[:, columns], table.complement, a)
            scores[:, columns] = ratio[:, :, 0] if ratio.shape[2] == 1 else np.median(ratio, axis=2)
        return scores

    def _log_ratio(
        self,
        values: FloatArray,
        membership: BoolArray,
        complement: IntArray,
        a: FloatArray,
        *,
        in_no_build: bool = False,
    ) -> FloatArray:
        """Log p_target - log p_reference, ``[N, b, Q]``."""
        log_confidence = _log_confidence(values)
        confidence = np.exp(log_confidence)
        if in_no_build:
            prior = self._prior_outside(_mean_of_others(confidence, complement), a)
        else:
            prior = self._prior(confidence, membership, complement, a)
        # The sums behind a prior are exact to about 1e-16; below the floor only rounding is left.
        ratio: FloatArray = log_confidence - np.log(np.maximum(prior, _LEAST_PRIOR))
        return ratio

    def _extrapolations(self, table: ScoreTable) -> FloatArray:
        """The offline form's ``a`` of each target, ``[N, 1, 1]``."""
        return np.ones((table.n_builds, 1, 1))

    @abstractmethod
    def _prior(
        self, confidence: FloatArray, membership: BoolArray, complement: IntArray, a: FloatArray
    ) -> FloatArray:
        """p(x) of each target from its shadows."""

    @abstractmethod
    def _prior_outside(self, mean: FloatArray, a: FloatArray) -> FloatArray:
        """p(z) from the mean confidence in an image that is in no build."""


class RMIA(_RMIA):
    """Online RMIA: p(x) is the mean confidence of shadows with and without the image.

    Source:
        Zarifzadeh, Liu and Shokri 2024, "Low-cost high-power membership inference attacks",
        eq. 4 and 9; plain softmax confidences. Population images are in no build, so p(z)
        averages shadows that are all "out".
    """

    id: ClassVar[str] = "membership.rmia"

    def _prior(
        self, confidence: FloatArray, membership: BoolArray, complement: IntArray, a: FloatArray
    ) -> FloatArray:
        return _mean_of_others(confidence, complement)

    def _prior_outside(self, mean: FloatArray, a: FloatArray) -> FloatArray:
        return mean


class OfflineRMIA(_RMIA):
    """Offline RMIA: p(x) is extrapolated from shadows without the image.

    Attributes:
        a: How much training on an image moves its confidence: p(x) =
            ((1 + a) p_out(x) + 1 - a) / 2. 1 leaves p_out as it is. ``auto`` takes, for each
            target, the value on a grid of tenths that finds the members of a reference build
            best; that build is a shadow, whose members the attacker knows. Below 6 builds
            ``auto`` is 1: no shadow is left to score the reference build with.

    Source:
        Zarifzadeh, Liu and Shokri 2024, eq. 10 and §B.2.2.
    """

    id: ClassVar[str] = "membership.rmia_offline"

    a: Annotated[float, Field(ge=0.0, le=1.0)] | Literal["auto"] = "auto"

    def _prior(
        self, confidence: FloatArray, membership: BoolArray, complement: IntArray, a: FloatArray
    ) -> FloatArray:
        out = np.where(membership[:, :, None], 0.0, confidence)
        # Of a target and its complement exactly one is "out"; the other adds zero.
        others = out.sum(axis=0, keepdims=True) - out - out[complement]
        return self._prior_outside(others / (len(confidence) // 2 - 1), a)

    def _prior_outside(self, mean: FloatArray, a: FloatArray) -> FloatArray:
        prior: FloatArray = ((1 + a) * mean + 1 - a) / 2
        return prior

    def _extrapolations(self, table: ScoreTable) -> FloatArray:
        if self.a != "auto" or table.n_builds < 6:
            return np.full((table.n_builds, 1, 1), 1.0 if self.a == "auto" else self.a)
        references = _references(table.complement)
        confidence = np.exp(_log_confidence(table.pool(self.signal)[:, :, 0]))
        out = np.where(table.membership, 0.0, confidence)
        total, chosen = out.sum(axis=0), np.empty(table.n_builds)
        for target, reference in enumerate(references):
            pairs = [target, table.complement[target], reference, table.complement[reference]]
            mean = (total - out[pairs].sum(axis=0)) / (table.n_builds // 2 - 2)
            ratios = [
                np.log(confidence[reference])
                - np.log(np.maximum(self._prior_outside(mean, np.array(a)), _LEAST_PRIOR))
                for a in _GRID
            ]
            found = [auc(ratio, table.membership[reference]) for ratio in ratios]
            chosen[target] = _GRID[int(np.argmax(found))]
        return chosen[:, None, None]


def _references(complement: IntArray) -> list[int]:
    """For each target a build of another pair."""
    firsts = np.flatnonzero(np.arange(len(complement)) < complement)
    pair_of = np.empty(len(complement), dtype=np.int64)
    pair_of[firsts] = np.arange(len(firsts))
    pair_of[complement[firsts]] = np.arange(len(firsts))
    return [int(firsts[(pair + 1) % len(firsts)]) for pair in pair_of]


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
