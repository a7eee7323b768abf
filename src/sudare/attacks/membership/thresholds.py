"""One threshold for all images: no shadows, the floor every other attack must beat."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sudare.attacks.membership.base import MembershipTest
from sudare.core.arrays import FloatArray
from sudare.core.scores import Scale, ScoreTable

__all__ = ["LossThreshold"]


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
