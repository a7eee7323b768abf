"""What a release is good for: over builds, or over the records one model was asked about."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sudare.attacks.signals import log_posterior
from sudare.audits.checks.base import BuildResults, Check, CheckInput, Judgement, Measurement
from sudare.audits.checks.built_in import UtilityCheckConfig
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.wording import say
from sudare.metrics import (
    clopper_pearson,
    crossed_share,
    expected_calibration_error,
    mean_over_builds,
    mean_recall,
)
from sudare.recipients.train import recipients_view

_LEAST_RECORDS, _IMAGE_DRAWS = 30, 50


class UtilityCheck(Check[UtilityCheckConfig]):
    """Accuracy, calibration and recall; also on the images that builds did and did not see."""

    def measure(self, tested: CheckInput) -> Measurement:
        """Log-posteriors of the test images, ``float32 [R, n, C]``."""
        view = recipients_view(tested.nets, device=tested.device)
        test = log_posterior(view.logits(tested.test.images)).astype(np.float32)
        return Measurement(arrays={"test": test})

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """Over builds; of one build alone over its records."""
        answers = _Answers.of(stack)
        found = _of_one(answers) if len(answers.test) == 1 else None
        found = found or _over_builds(answers)
        return Judgement(
            findings=[
                maker.finding(name, estimate, group=group)
                for (name, group), estimate in found.items()
            ]
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answers:
    """What builds said of test and pool images.

    Attributes:
        test: ``float64 [N, R, n, C]``, log-posteriors.
        labels: ``int64 [n]``, classes of the test images.
        class_names: One name per class.
        hits: ``bool [N, n_pool]``, whether the pool image was recognised.
        members: ``bool [N, n_pool]``.
    """

    test: FloatArray
    labels: IntArray
    class_names: tuple[str, ...]
    hits: BoolArray
    members: BoolArray

    @classmethod
    def of(cls, stack: BuildResults) -> _Answers:
        classes = stack.labels.pool.classes
        posterior = stack.every["membership"]["log_posterior"][stack.trial.rows]
        return cls(
            test=stack.arrays["test"].astype(np.float64),
            labels=stack.labels.test.classes,
            class_names=stack.labels.test.class_names,
            hits=posterior[:, : len(classes)].argmax(axis=2) == classes,
            members=stack.membership,
        )


def _over_builds(answers: _Answers) -> dict[tuple[str, str], Estimate]:
    # Recipients of one build share its data: their mean is one number, the build is the unit.
    test, labels = answers.test, answers.labels
    found: dict[tuple[str, str], Estimate] = {}

    # Builds share their test images: both were drawn.
    right = (test.argmax(axis=3) == labels).mean(axis=1)
    found["utility.accuracy", ""] = crossed_share(right)
    found["utility.balanced_accuracy", ""] = crossed_share(right, strata=labels)
    found["utility.ece", ""] = _calibration(test, labels)
    for index, group in enumerate(answers.class_names):
        if (labels == index).any():
            found["utility.recall", group] = crossed_share(right[:, labels == index])
    hits = answers.hits.astype(np.float64)
    found["utility.heldout_accuracy", ""] = _on_one_side(hits, ~answers.members)
    found["utility.train_accuracy", ""] = _on_one_side(hits, answers.members)
    return found


def _on_one_side(hits: FloatArray, side: BoolArray) -> Estimate:
    """Right answers about images that builds saw, or that they did not; builds share them.

    Of two complementary builds each image was seen by one, so a pair answers for every image
    once: pairs and images are drawn.
    """
    counts = side.sum(axis=0)
    if len(hits) % 2 or not (counts == len(hits) // 2).all():
        share = [own[where].mean() for own, where in zip(hits, side, strict=True)]
        return mean_over_builds(np.array(share), bounds=(0.0, 1.0))
    first = np.argsort(~side, axis=0, kind="stable")[: len(hits) // 2]
    return crossed_share(np.take_along_axis(hits, first, axis=0))


def _calibration(test: FloatArray, labels: IntArray) -> Estimate:
    """Mean calibration error; the draw of builds and that of test images both add to its doubt."""
    errors = [[expected_calibration_error(one, labels) for one in build] for build in test]
    told = mean_over_builds(np.array(errors).mean(axis=1), bounds=(0.0, 1.0))
    if told.value is None or told.low is None or told.high is None:
        return told
    rng, draws = np.random.default_rng(0), []
    for _ in range(_IMAGE_DRAWS):
        rows = rng.integers(len(labels), size=len(labels))
        draws.append(np.mean([expected_calibration_error(b[0, rows], labels[rows]) for b in test]))
    of_images = 1.96 * float(np.std(draws))
    return replace(
        told,
        low=max(told.value - float(np.hypot(told.value - told.low, of_images)), 0.0),
        high=min(told.value + float(np.hypot(told.high - told.value, of_images)), 1.0),
        method=say("method.calibration"),
    )


def _of_one(answers: _Answers) -> dict[tuple[str, str], Estimate]:
    """One model: its records are what is drawn, so the interval is over them."""
    test, labels = answers.test[0], answers.labels
    right = (test.argmax(axis=2) == labels).mean(axis=0)
    found = {("utility.accuracy", ""): _share(right)}
    found["utility.balanced_accuracy", ""] = mean_recall(
        np.array([right[labels == label].sum() for label in np.unique(labels)]),
        np.array([(labels == label).sum() for label in np.unique(labels)]),
    )
    found["utility.ece", ""] = _resampled(test, labels)
    for index, group in enumerate(answers.class_names):
        if (labels == index).any():
            found["utility.recall", group] = _share(right[labels == index])
    hits, members = answers.hits[0], answers.members[0]
    found["utility.heldout_accuracy", ""] = _share(hits[~members])
    found["utility.train_accuracy", ""] = _share(hits[members])
    return found


def _share(right: FloatArray) -> Estimate:
    """A share of records; recipients' answers to one record are no further records."""
    return clopper_pearson(round(float(right.sum())), len(right))


def _resampled(test: FloatArray, labels: IntArray) -> Estimate:
    method = say("method.bootstrap_records")
    if len(labels) < _LEAST_RECORDS:
        reason = say("reason.few_records", least=_LEAST_RECORDS)
        return Estimate.unresolvable(n=len(labels), method=method, reason=reason)

    def error(rows: IntArray) -> float:
        return float(np.mean([expected_calibration_error(one[rows], labels[rows]) for one in test]))

    rng, every = np.random.default_rng(0), np.arange(len(labels))
    value = error(every)
    drawn = [error(rng.integers(len(labels), size=len(labels))) for _ in range(200)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(
        value=value,
        low=float(min(low, value)),
        high=float(max(high, value)),
        n=len(labels),
        method=method,
    )
