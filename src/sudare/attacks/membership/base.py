"""The contract of a membership test: a pure function from a score table to scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from pydantic import BaseModel, ConfigDict

from sudare.core.arrays import FloatArray
from sudare.core.errors import AuditError
from sudare.core.hashing import hash_json
from sudare.core.scores import Scale, ScoreTable
from sudare.core.threats import ThreatModel
from sudare.core.wording import say

if TYPE_CHECKING:
    from jaxtyping import Float


class MembershipTest(BaseModel, ABC):
    """Scores every image of every build, the higher the more likely a member.

    A subclass declares ``id``, ``accepts`` and ``signal``, holds its settings as fields, and
    writes ``_scores``. Every build is target once; its shadows are all builds but itself and
    its complement.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: ClassVar[str]
    accepts: ClassVar[frozenset[Scale]]
    needs_shadows: ClassVar[bool] = True
    least_builds: ClassVar[int] = 4
    null_draws: ClassVar[int] = 20
    """How often its null control redraws membership; fewer where scoring is expensive."""
    sees: ClassVar[ThreatModel | None] = None
    """What the attacker needs to see where that is less than a release's scores."""

    signal: str = "phi"

    @final
    def scores(self, table: ScoreTable) -> Float[FloatArray, "N n"]:
        """Membership scores, ``float64 [N, n]``, finite.

        Raises:
            AuditError: The test is not attackable on this table, or a score is not finite.
        """
        if reason := self.attackable(table):
            raise AuditError(f"{self.id} cannot run", where=self.signal, fix=reason)
        scores = self._scores(table)
        if scores.shape != table.membership.shape or not np.isfinite(scores).all():
            raise AuditError(f"{self.id} gave scores that are not finite", where=self.signal)
        return scores

    @final
    def attackable(self, table: ScoreTable) -> str | None:
        """Why the test does not apply to this table, or None."""
        if self.signal not in table.signals:
            return say("reason.no_signal", signal=repr(self.signal))
        if table.scales[self.signal] not in self.accepts:
            wanted = ", ".join(sorted(self.accepts))
            return say("reason.other_scale", scales=wanted)
        if self.needs_shadows and not table.has_shadows:
            return say("reason.no_shadows")
        if table.has_shadows and table.n_builds < self.least_builds:
            return say("reason.few_builds", builds=self.least_builds)
        return self._unmet(table)

    def _unmet(self, table: ScoreTable) -> str | None:
        """What else the test needs of a table, or None."""
        return None

    @property
    def config_hash(self) -> str:
        """SHA-256 of the test's name and settings."""
        return hash_json({"id": self.id, **self.model_dump(mode="json")})

    @abstractmethod
    def _scores(self, table: ScoreTable) -> FloatArray:
        """Scores ``float64 [N, n]`` of a table that was checked."""
