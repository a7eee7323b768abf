"""Calibration: whether the models that answer for a release are right as often as they claim."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from sudare.audits.checks.base import BuildResults, Check, CheckInput, Judgement, Measurement
from sudare.audits.checks.config import CheckConfig
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.figures import Figure
from sudare.core.wording import say
from sudare.metrics import crossed_share, mean_over_builds

_LEAST_SURE, _IMAGE_DRAWS = 20, 50
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
        """Over builds and test images; of a build's recipients, who share its data, the mean."""
        confidence, right = stack.arrays["confidence"].astype(np.float64), stack.arrays["right"]
        # Builds share their test images: both were drawn.
        named = {
            "brier": _scaled(stack.arrays["squared"].astype(np.float64).mean(axis=1), 0.0, 2.0),
            "overconfidence": _scaled((confidence - right).mean(axis=1), -1.0, 1.0),
        }
        findings = [maker.finding(f"calibration.{name}", told) for name, told in named.items()]
        for level in self.config.sure:
            sure = confidence >= level
            share = crossed_share(sure.mean(axis=1))
            findings.append(maker.finding(f"calibration.sure@{level:g}", share))
            told = _where_sure(sure, right)
            if sure.sum(axis=(1, 2)).min() < _LEAST_SURE:
                reason = say("reason.few_sure", least=_LEAST_SURE)
                told = Estimate.unresolvable(
                    n=len(sure), method=told.method, reason=reason, of_units=False
                )
            findings.append(maker.finding(f"calibration.accuracy@{level:g}", told))
        return Judgement(findings=findings)


def _scaled(values: FloatArray, low: float, high: float) -> Estimate:
    """Mean of numbers ``[N, n]`` between two ends, over builds and test images."""
    told = crossed_share((values - low) / (high - low))

    def back(share: float | None) -> float | None:
        return None if share is None else low + (high - low) * share

    return replace(told, value=back(told.value), low=back(told.low), high=back(told.high))


def _where_sure(sure: BoolArray, right: BoolArray) -> Estimate:
    """Share of right answers among the sure ones ``[N, R, n]``, over builds and test images."""

    def accuracy(rows: IntArray) -> FloatArray:
        of = sure[:, :, rows].sum(axis=(1, 2))
        found: FloatArray = (sure & right)[:, :, rows].sum(axis=(1, 2)) / np.maximum(of, 1)
        return found

    images = sure.shape[2]
    every: IntArray = np.arange(images)
    told = mean_over_builds(accuracy(every), bounds=(0.0, 1.0))
    if told.value is None or told.low is None or told.high is None:
        return told
    rng = np.random.default_rng(0)
    rows: IntArray = rng.integers(images, size=(_IMAGE_DRAWS, images))
    drawn = [float(accuracy(chosen).mean()) for chosen in rows]
    of_images = 1.96 * float(np.std(drawn))
    return replace(
        told,
        low=max(told.value - float(np.hypot(told.value - told.low, of_images)), 0.0),
        high=min(told.value + float(np.hypot(told.high - told.value, of_images)), 1.0),
        method=say("method.calibration"),
    )


def squared_errors(posterior: FloatArray, labels: IntArray) -> FloatArray:
    """Of each answer ``[..., n, C]`` the squared distance to what is so, in 0 to 2."""
    truth = np.arange(posterior.shape[-1]) == labels[:, None]
    errors: FloatArray = ((posterior - truth) ** 2).sum(axis=-1)
    return errors
