"""Calibration: whether the models that answer for a release are right as often as they claim."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from sudare.audits.checks.base import BuildResults, Check, CheckInput, Judgement, Measurement
from sudare.audits.checks.config import CheckConfig
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.figures import Figure
from sudare.core.wording import say
from sudare.metrics import mean_over_builds

_LEAST_SURE = 20
"""Answers of a build that must be so sure before their accuracy is told."""


class CalibrationCheckConfig(CheckConfig):
    """Whether the models that answer for a release are right as often as they claim."""

    check: ClassVar[str] = "sudare.audits.checks.calibration:CalibrationCheck"

    kind: Literal["calibration"] = "calibration"
    sure: tuple[float, ...] = Field(
        default=(0.5, 0.8, 0.95),
        max_length=10,
        description="Confidences above which accuracy is told.",
    )

    @field_validator("sure")
    @classmethod
    def _between_0_and_1(cls, sure: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < level < 1 for level in sure):
            raise ValueError("each confidence lies between 0 and 1")
        return tuple(sorted(set(sure)))


class CalibrationCheck(Check[CalibrationCheckConfig]):
    """Brier score, overconfidence, and accuracy where a model is sure, on test images.

    Source:
        Brier 1950, "Verification of forecasts expressed in terms of probability"; Guo et al.
        2017, "On calibration of modern neural networks".
    """

    figures = (
        Figure(id="calibration.brier", edition="public"),
        Figure(id="calibration.overconfidence", edition="public"),
        Figure(id="calibration.sure", format="percent", edition="public"),
        Figure(id="calibration.accuracy", edition="public"),
    )

    def measure(self, tested: CheckInput) -> Measurement:
        """Of each recipient and test image ``[R, n]``: confidence, whether right, squared error."""
        from sudare.attacks.signals import log_posterior
        from sudare.recipients.train import recipients_view

        view = recipients_view(tested.nets, device=tested.device)
        posterior = np.exp(log_posterior(view.logits(tested.test.images)))
        labels = tested.test.classes
        return Measurement(
            arrays={
                "confidence": posterior.max(axis=2).astype(np.float32),
                "right": posterior.argmax(axis=2) == labels,
                "squared": squared_errors(posterior, labels).astype(np.float32),
            }
        )

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """Means over builds; recipients of one build share its data, so their mean counts."""
        confidence, right = stack.arrays["confidence"].astype(np.float64), stack.arrays["right"]
        named = {
            "brier": stack.arrays["squared"].astype(np.float64),
            "overconfidence": confidence - right,
        }
        findings = [
            maker.finding(f"calibration.{name}", mean_over_builds(values.mean(axis=(1, 2))))
            for name, values in named.items()
        ]
        for level in self.config.sure:
            sure = confidence >= level
            share = mean_over_builds(sure.mean(axis=(1, 2)), bounds=(0.0, 1.0))
            findings.append(maker.finding(f"calibration.sure@{level:g}", share))
            hits = (sure & right).sum(axis=(1, 2)) / np.maximum(sure.sum(axis=(1, 2)), 1)
            told = mean_over_builds(hits, bounds=(0.0, 1.0))
            if sure.sum(axis=(1, 2)).min() < _LEAST_SURE:
                reason = say("reason.few_sure", least=_LEAST_SURE)
                told = Estimate.unresolvable(
                    n=len(hits), method=told.method, reason=reason, of_units=False
                )
            findings.append(maker.finding(f"calibration.accuracy@{level:g}", told))
        return Judgement(findings=findings)


def squared_errors(posterior: FloatArray, labels: IntArray) -> FloatArray:
    """Of each answer ``[..., n, C]`` the squared distance to what is so, in 0 to 2."""
    truth = np.arange(posterior.shape[-1]) == labels[:, None]
    errors: FloatArray = ((posterior - truth) ** 2).sum(axis=-1)
    return errors
