"""What a release is good for: over builds, or over the records one model was asked about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sudare.audits.labels import LabelledParts
from sudare.audits.maker import FindingMaker
from sudare.audits.measure import Measured
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding
from sudare.metrics import (
    clopper_pearson,
    crossed_share,
    expected_calibration_error,
    mean_over_builds,
    mean_recall,
)

__all__ = ["utility_findings"]

_LEAST_RECORDS, _IMAGE_DRAWS = 30, 50


def utility_findings(
    maker: FindingMaker, measured: Measured, split: LabelledParts, rows: IntArray
) -> list[Finding]:
    """Accuracy, calibration and recall; also on the images that builds did and did not see.

    Args:
        maker: Fills in what findings about the release share.
        measured: Predictions of every build.
        split: Labels of pool and test.
        rows: Builds the findings are about; one build alone gets intervals over its records.
    """
    found = _of_one(measured, split, int(rows[0])) if len(rows) == 1 else None
    found = found or _over_builds(measured, split, rows)
    return [maker.finding(name, estimate, group=group) for (name, group), estimate in found.items()]


def _over_builds(
    measured: Measured, split: LabelledParts, rows: IntArray
) -> dict[tuple[str, str], Estimate]:
    # Recipients of one build share its data: their mean is one number, the build is the unit.
    test = measured.test[rows].astype(np.float64)
    labels = split.test.classes
    found: dict[tuple[str, str], Estimate] = {}

    # Builds share their test images: both were drawn.
    right = (test.argmax(axis=3) == labels).mean(axis=1)
    found["utility.accuracy", ""] = crossed_share(right)
    found["utility.balanced_accuracy", ""] = crossed_share(right, strata=labels)
    found["utility.ece", ""] = _calibration(test, labels)
    for index, group in enumerate(split.test.class_names):
        if (labels == index).any():
            found["utility.recall", group] = crossed_share(right[:, labels == index])
    posterior = measured.table.pool("log_posterior")[rows]
    hits = (posterior.argmax(axis=2) == split.pool.classes).astype(np.float64)
    members = measured.table.membership[rows]
    found["utility.heldout_accuracy", ""] = _on_one_side(hits, ~members)
    found["utility.train_accuracy", ""] = _on_one_side(hits, members)
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
        method="mean over builds; builds and test images drawn",
    )


def _of_one(measured: Measured, split: LabelledParts, row: int) -> dict[tuple[str, str], Estimate]:
    """One model: its records are what is drawn, so the interval is over them."""
    test, labels = measured.test[row].astype(np.float64), split.test.classes
    right = (test.argmax(axis=2) == labels).mean(axis=0)
    found = {("utility.accuracy", ""): _share(right)}
    found["utility.balanced_accuracy", ""] = mean_recall(
        np.array([right[labels == label].sum() for label in np.unique(labels)]),
        np.array([(labels == label).sum() for label in np.unique(labels)]),
    )
    found["utility.ece", ""] = _resampled(test, labels)
    for index, group in enumerate(split.test.class_names):
        if (labels == index).any():
            found["utility.recall", group] = _share(right[labels == index])
    posterior, classes = measured.table.pool("log_posterior")[row], split.pool.classes
    hits = posterior.argmax(axis=1) == classes
    members = measured.table.membership[row]
    found["utility.heldout_accuracy", ""] = _share(hits[~members])
    found["utility.train_accuracy", ""] = _share(hits[members])
    return found


def _share(right: FloatArray) -> Estimate:
    """A share of records; recipients' answers to one record are no further records."""
    return clopper_pearson(round(float(right.sum())), len(right))


def _resampled(test: FloatArray, labels: IntArray) -> Estimate:
    method = "percentile bootstrap over records"
    if len(labels) < _LEAST_RECORDS:
        reason = f"needs at least {_LEAST_RECORDS} records"
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
