"""Scores that somebody else computed."""

from __future__ import annotations

from typing import ClassVar

from sudare.attacks.membership.base import MembershipTest
from sudare.core.arrays import FloatArray
from sudare.core.scores import Scale, ScoreTable


class GivenScores(MembershipTest):
    """The signal is the score: higher for members, averaged over queries."""

    id: ClassVar[str] = "membership.given"
    accepts: ClassVar[frozenset[Scale]] = frozenset(Scale)
    needs_shadows: ClassVar[bool] = False

    signal: str = "given"

    def _scores(self, table: ScoreTable) -> FloatArray:
        mean: FloatArray = table.pool(self.signal).mean(axis=2)
        return mean
