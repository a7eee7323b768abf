"""Tests on distances: to the decision boundary, and to the nearest released image."""

from __future__ import annotations

from typing import ClassVar

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.membership.shadows import shadow_moments
from sudare.core.arrays import FloatArray
from sudare.core.scores import Scale, ScoreTable
from sudare.core.threats import ThreatModel


class _Distance(MembershipTest):
    """A distance, or how much it differs from that in shadows without the image."""

    accepts: ClassVar[frozenset[Scale]] = frozenset({Scale.DISTANCE})
    sign: ClassVar[float]
    calibrated: ClassVar[bool] = False
    needs_shadows: ClassVar[bool] = False

    def _scores(self, table: ScoreTable) -> FloatArray:
        values = table.pool(self.signal)
        if self.calibrated:
            values = values - shadow_moments(table, self.signal).mean_out
        score: FloatArray = self.sign * values.mean(axis=2)
        return score


class BoundaryThreshold(_Distance):
    """Members are farther from the decision boundary; only answered classes are seen.

    Source:
        Choquette-Choo et al. 2021, "Label-only membership inference attacks".
    """

    id: ClassVar[str] = "membership.boundary"
    sign: ClassVar[float] = 1.0
    sees: ClassVar[ThreatModel | None] = ThreatModel.CLASSIFIER_LABELS

    signal: str = "boundary"


class CalibratedBoundary(BoundaryThreshold):
    """The distance to the boundary, less its mean over shadows that never saw the image.

    Source:
        Watson et al. 2022, "On the importance of difficulty calibration in membership
        inference attacks", on the signal of Choquette-Choo et al. 2021.
    """

    id: ClassVar[str] = "membership.boundary_calibrated"
    calibrated: ClassVar[bool] = True
    needs_shadows: ClassVar[bool] = True


class NearestReleased(_Distance):
    """Members are nearer to a released image.

    Source:
        Chen et al. 2020, "GAN-Leaks", the full black-box attack.
    """

    id: ClassVar[str] = "membership.nearest"
    sign: ClassVar[float] = -1.0
    sees: ClassVar[ThreatModel | None] = ThreatModel.SAMPLES_SET

    signal: str = "nearest_pixels"


class CalibratedNearest(NearestReleased):
    """The distance to the nearest released image, less its mean over releases made without it.

    Source:
        Chen et al. 2020, "GAN-Leaks", with attack calibration.
    """

    id: ClassVar[str] = "membership.nearest_calibrated"
    calibrated: ClassVar[bool] = True
    needs_shadows: ClassVar[bool] = True
