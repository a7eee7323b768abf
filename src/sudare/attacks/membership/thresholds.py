"""One threshold for all images: no shadows, the floor every other attack must beat."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sudare.attacks.membership.base import MembershipTest
from sudare.core.arrays import FloatArray
from sudare.core.scores import Scale, ScoreTable
from sudare.core.threats import ThreatModel

_SURE = 0.1
"""Below this many nats (or this probability) the other side of 1 - p is the exact one."""


class LossThreshold(MembershipTest):
    """Members have a lower loss: the score is the log-likelihood, averaged over queries.

    Source:
        Yeom et al. 2018, "Privacy risk in machine learning", Adversary 1; the global
        threshold of Carlini et al. 2022.
    """

    id: ClassVar[str] = "membership.loss"
    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGIT})
    needs_shadows: ClassVar[bool] = False

    def _scores(self, table: ScoreTable) -> FloatArray:
        log_likelihood: FloatArray = -np.logaddexp(0.0, -table.pool(self.signal))
        mean: FloatArray = log_likelihood.mean(axis=2)
        return mean


class _OnPosterior(MembershipTest):
    """A threshold on a function of the log-posterior."""

    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.LOGLIK})
    needs_shadows: ClassVar[bool] = False

    signal: str = "log_posterior"

    def _own_and_others(self, table: ScoreTable) -> tuple[FloatArray, FloatArray]:
        """Log-probability of the true class ``[N, n]`` and of the rest ``[N, n, C]``.

        Among the rest the true class stands as minus infinity.
        """
        posterior = table.pool(self.signal)
        own = np.arange(posterior.shape[2]) == table.labels[: table.n_images, None]
        others = np.where(own[None], -np.inf, posterior)
        return posterior[:, own], others


class EntropyThreshold(_OnPosterior):
    """Members are answered with more certainty: the score is minus the entropy, in nats.

    It does not look at the label, so a confident mistake counts as a member.

    Source:
        Salem et al. 2019, "ML-Leaks", adversary 3.
    """

    id: ClassVar[str] = "membership.entropy"

    def _scores(self, table: ScoreTable) -> FloatArray:
        posterior = table.pool(self.signal)
        certainty: FloatArray = (np.exp(posterior) * posterior).sum(axis=2)
        return certainty


class ModifiedEntropyThreshold(_OnPosterior):
    """Entropy that knows the label: zero for a sure right answer, large for a sure wrong one.

    Source:
        Song and Mittal 2021, "Systematic evaluation of privacy risks of machine learning
        models", eq. 8.
    """

    id: ClassVar[str] = "membership.modified_entropy"

    def _scores(self, table: ScoreTable) -> FloatArray:
        own, others = self._own_and_others(table)
        wrong = np.exp(others)
        # Of a sure answer log p rounds to 0 while the others still say how sure it is.
        missing = np.minimum(wrong.sum(axis=2), 0.5)
        own = np.where(own < -_SURE, own, np.log1p(-missing))
        # log(1 - p) of the others; one that is certain would be minus infinity.
        rest = np.log(np.maximum(-np.expm1(others), np.finfo(np.float64).tiny))
        small = wrong < _SURE
        rest = np.where(small, np.log1p(-np.where(small, wrong, 0.0)), rest)
        entropy: FloatArray = np.expm1(own) * own - (wrong * rest).sum(axis=2)
        return -entropy


class MarginThreshold(_OnPosterior):
    """The log-probability of the true class less that of the best other one."""

    id: ClassVar[str] = "membership.margin"

    def _scores(self, table: ScoreTable) -> FloatArray:
        own, others = self._own_and_others(table)
        margin: FloatArray = own - others.max(axis=2)
        return margin


class GapAttack(_OnPosterior):
    """A right answer means member. Needs nothing but the answered class.

    Source:
        Yeom et al. 2018; the baseline of Choquette-Choo et al. 2021, "Label-only membership
        inference attacks".
    """

    id: ClassVar[str] = "membership.gap"
    sees: ClassVar[ThreatModel | None] = ThreatModel.CLASSIFIER_LABELS

    def _scores(self, table: ScoreTable) -> FloatArray:
        own, others = self._own_and_others(table)
        right: FloatArray = (own > others.max(axis=2)).astype(np.float64)
        return right
