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

_GRID = tuple(step / 10 for step in range(11))


class _RMIA(MembershipTest):
    """What the online and the offline form share.

    The score is the published one: the share of population images that the image beats by the
    factor gamma, by vote over the queries. Among images of equal share the likelihood ratio
    (the median over queries) decides, so that a small population makes no ties. Without a
    population the ratio itself is the score, and targets are not calibrated against each other.

    Attributes:
        gamma: The factor by which the image must beat a population image, at least 1. At 1 the
            score is the rank among the population; larger factors leave most images without any
            population image beaten where confidences are high (``docs/decisions``, 10).
    """

    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGIT})

    gamma: float = Field(default=1.0, ge=1.0)

    def calibrated(self, table: ScoreTable) -> Float[FloatArray, "N n"]:
        """Share of population images z with ratio(x) / ratio(z) > gamma, in [0, 1].

        With several queries a z counts if more than half of them say so. One query is done by
        sorting, two by counting dominated pairs.

        Raises:
            AuditError: The table has no population.
        """
        if table.labels.shape[0] == table.n_images:
            raise AuditError(
                f"{self.id} cannot be calibrated without population images",
                fix="Set data.population to a few hundred or more.",
            )
        return self._shares_and_ratios(table)[0]

    def _scores(self, table: ScoreTable) -> FloatArray:
        share, ratio = self._shares_and_ratios(table)
        population = table.labels.shape[0] - table.n_images
        if not population:
            return ratio
        # Squashed to less than half of a step of the share: it orders only what ties.
        scores: FloatArray = share + ratio / (1 + np.abs(ratio)) / (4 * population)
        return scores

    def _shares_and_ratios(self, table: ScoreTable) -> tuple[FloatArray, FloatArray]:
        """Shares of beaten population images and median log-ratios, each ``[N, n]``."""
        a = self._extrapolations(table)
        nobody = np.zeros((table.n_builds, table.labels.shape[0] - table.n_images), dtype=bool)
        ratio_z = self._log_ratio(
            table.population(self.signal), nobody, table.complement, a, in_no_build=True
        )
        beaten = [_Beaten(ratios) for ratios in ratio_z] if ratio_z.shape[1] else []
        share, median = np.zeros(table.membership.shape), np.empty(table.membership.shape)
        for columns, values in table.blocks(self.signal):
            ratio = self._log_ratio(values, table.membership[:, columns], table.complement, a)
            median[:, columns] = np.median(ratio, axis=2)
            for target, counter in enumerate(beaten):
                share[target, columns] = counter.share(ratio[target] - np.log(self.gamma))
        return share, median

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
        ratio: FloatArray = log_confidence - np.log(prior)
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
        others = _sum_of_others(out, complement)
        return self._prior_outside(others / (len(confidence) // 2 - 1), a)

    def _prior_outside(self, mean: FloatArray, a: FloatArray) -> FloatArray:
        # The bracket keeps a mean far below rounding of 1 where a is 1.
        prior: FloatArray = ((1 + a) * mean + (1 - a)) / 2
        return prior

    def _extrapolations(self, table: ScoreTable) -> FloatArray:
        if self.a != "auto" or table.n_builds < 6:
            return np.full((table.n_builds, 1, 1), 1.0 if self.a == "auto" else self.a)
        references = _references(table.complement)
        confidence = np.exp(_log_confidence(table.pool(self.signal)[:, :, 0]))
        out = np.where(table.membership, 0.0, confidence)
        chosen, builds = np.empty(table.n_builds), np.arange(table.n_builds)
        for target, reference in enumerate(references):
            pairs = [target, table.complement[target], reference, table.complement[reference]]
            mean = out[~np.isin(builds, pairs)].sum(axis=0) / (table.n_builds // 2 - 2)
            ratios = [
                np.log(confidence[reference]) - np.log(self._prior_outside(mean, np.array(a)))
                for a in _GRID
            ]
            found = [auc(ratio, table.membership[reference]) for ratio in ratios]
            chosen[target] = _GRID[int(np.argmax(found))]
        return chosen[:, None, None]


class _Beaten:
    """Counts how many population images of one target each image beats, by vote of the queries.

    Args:
        ratios: ``float64 [m, Q]``, the population's log-ratios.
    """

    def __init__(self, ratios: FloatArray) -> None:
        self._ratios = ratios
        self._count, queries = ratios.shape
        self._sorted = np.sort(ratios, axis=0)
        if queries == 2:
            # Position in the order of the second query, listed in the order of the first.
            first = np.argsort(ratios[:, 0], kind="stable")
            ranks = np.empty(self._count, dtype=np.int64)
            ranks[np.argsort(ratios[:, 1], kind="stable")] = np.arange(self._count)
            self._levels = _wavelet_levels(ranks[first])

    def share(self, threshold: FloatArray) -> FloatArray:
        """Share of the population below each threshold ``[b, Q]`` in most queries, ``[b]``."""
        columns = [
            np.searchsorted(self._sorted[:, query], threshold[:, query], side="left")
            for query in range(threshold.shape[1])
        ]
        if len(columns) == 1:
            beaten = columns[0]
        elif len(columns) == 2:
            beaten = _dominated(self._levels, *columns)
        else:
            wins = (self._ratios[None] < threshold[:, None]).sum(axis=2)
            beaten = (2 * wins > threshold.shape[1]).sum(axis=1)
        share: FloatArray = beaten / self._count
        return share


def _wavelet_levels(values: IntArray) -> list[tuple[int, IntArray]]:
    """A wavelet matrix of a permutation: for each bit from the highest, how many zeros before.

    Source:
        Claude, Navarro and Ordonez 2015, "The wavelet matrix".
    """
    levels = []
    for bit in range(max(1, len(values).bit_length()) - 1, -1, -1):
        one = (values >> bit) & 1
        levels.append((bit, np.append(0, np.cumsum(1 - one))))
        values = np.concatenate([values[one == 0], values[one == 1]])
    return levels


def _dominated(levels: list[tuple[int, IntArray]], prefix: IntArray, below: IntArray) -> IntArray:
    """Of the first ``prefix`` values of the permutation, how many are less than ``below``."""
    left, right, count = np.zeros_like(prefix), prefix.copy(), np.zeros_like(prefix)
    for bit, zeros in levels:
        left_zero, right_zero = zeros[left], zeros[right]
        one = ((below >> bit) & 1).astype(bool)
        count += np.where(one, right_zero - left_zero, 0)
        left = np.where(one, left - left_zero + zeros[-1], left_zero)
        right = np.where(one, right - right_zero + zeros[-1], right_zero)
    return count


def _references(complement: IntArray) -> list[int]:
    """For each target a build of another pair."""
    firsts, pair_of = _pairs(complement)
    return [int(firsts[(pair + 1) % len(firsts)]) for pair in pair_of]


def _pairs(complement: IntArray) -> tuple[IntArray, IntArray]:
    """One build of each pair, and the pair each build is of."""
    firsts = np.flatnonzero(np.arange(len(complement)) < complement)
    pair_of = np.empty(len(complement), dtype=np.int64)
    pair_of[firsts] = np.arange(len(firsts))
    pair_of[complement[firsts]] = np.arange(len(firsts))
    return firsts, pair_of


def _log_confidence(phi: FloatArray) -> FloatArray:
    """Log sigmoid(phi) = -softplus(-phi), exact for large |phi|."""
    confidence: FloatArray = -np.logaddexp(0.0, -phi)
    # Far below zero the exponential underflows; the floor keeps its logarithm finite.
    return np.maximum(confidence, -700.0)


def _sum_of_others(values: FloatArray, complement: IntArray) -> FloatArray:
    """Sum over all builds but each target and its complement.

    Sums from the left and from the right of a pair: taking the pair out of the sum of all would
    leave nothing but rounding where the target alone is sure, and images would tie there.
    """
    firsts, pair_of = _pairs(complement)
    of_pairs = values[firsts] + values[complement[firsts]]
    others = np.zeros_like(of_pairs)
    np.cumsum(of_pairs[:-1], axis=0, out=others[1:])
    others[:-1] += np.cumsum(of_pairs[:0:-1], axis=0)[::-1]
    return others[pair_of]


def _mean_of_others(values: FloatArray, complement: IntArray) -> FloatArray:
    """Mean over all builds but each target and its complement."""
    mean: FloatArray = _sum_of_others(values, complement) / (len(values) - 2)
    return mean
