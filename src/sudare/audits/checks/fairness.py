"""Fairness of a release: its worst class, the spread between classes, gaps between groups."""

from __future__ import annotations

import numpy as np

from sudare.audits.checks.base import Check, Measurement, Stack, Tested
from sudare.audits.checks.fairness_config import FairnessCheckConfig
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.figures import Figure
from sudare.core.findings import Finding
from sudare.metrics import mean_over_builds
from sudare.nets.predict import predict

__all__ = ["FairnessCheck", "equalised_odds_gap", "recalls"]


class FairnessCheck(Check[FairnessCheckConfig]):
    """Recalls of classes on the test images, build by build, and what they have in common."""

    figures = (
        Figure(
            id="fairness.worst_class",
            name="Recall of the worst class",
            short="Worst class",
            meaning="The share of images recognised in the class that fares worst, which may be "
            "another one in each build.",
            worse="lower",
            edition="public",
        ),
        Figure(
            id="fairness.class_gap",
            name="Recall of the best class less that of the worst",
            short="Gap between classes",
            meaning="0: all classes are recognised equally well. It shrinks by itself as accuracy "
            "grows, so it is to be read beside accuracy.",
            worse="higher",
            edition="public",
        ),
        Figure(
            id="fairness.class_variation",
            name="Variation of recall between classes",
            short="Variation between classes",
            meaning="Standard deviation of the classes' recalls over their mean.",
            worse="higher",
            edition="public",
        ),
        Figure(
            id="fairness.odds_gap_max",
            name="Largest difference of recall between groups, over classes",
            short="Equalised odds",
            meaning="Within a class, the recall of the group that fares best less that of the one "
            "that fares worst; the largest of these (equalised odds holds at 0).",
            worse="higher",
            edition="public",
        ),
        Figure(
            id="fairness.odds_gap_mean",
            name="Mean difference of recall between groups, over classes",
            worse="higher",
            edition="public",
        ),
    )

    def measure(self, tested: Tested) -> Measurement:
        """The answer to each test image; mean logits where several recipients answer."""
        logits = [predict(net, tested.test.images, device=tested.device) for net in tested.nets]
        answers = np.mean(logits, axis=0).argmax(axis=1).astype(np.int64)
        return Measurement(arrays={"answers": answers})

    def judge(self, stack: Stack, maker: FindingMaker) -> list[Finding]:
        """Means over builds."""
        labels = stack.labels.test
        answers_of_builds, classes = stack.arrays["answers"], len(labels.class_names)
        each = np.stack([recalls(own, labels.classes, classes) for own in answers_of_builds])
        worst, best = np.nanmin(each, axis=1), np.nanmax(each, axis=1)
        spread = np.nanstd(each, axis=1) / np.maximum(np.nanmean(each, axis=1), 1e-12)
        named = [
            ("worst_class", worst, 1.0),
            ("class_gap", best - worst, 1.0),
            ("class_variation", spread, np.inf),
        ]
        if labels.groups is not None:
            gaps = np.stack(
                [
                    equalised_odds_gap(own, labels.classes, labels.groups)
                    for own in answers_of_builds
                ]
            )
            if not np.isnan(gaps).all():
                named += [
                    ("odds_gap_max", np.nanmax(gaps, axis=1), 1.0),
                    ("odds_gap_mean", np.nanmean(gaps, axis=1), 1.0),
                ]
        return [
            maker.finding(f"fairness.{name}", mean_over_builds(values, bounds=(0.0, highest)))
            for name, values, highest in named
        ]


def recalls(answers: IntArray, classes: IntArray, n_classes: int) -> FloatArray:
    """Share of right answers of each class, NaN where a class has no image."""
    found = np.full(n_classes, np.nan)
    for label in np.unique(classes):
        found[label] = (answers[classes == label] == label).mean()
    return found


def equalised_odds_gap(answers: IntArray, classes: IntArray, groups: IntArray) -> FloatArray:
    """For each class, the largest difference of recall between groups; NaN for fewer than two."""
    gaps = []
    for label in np.unique(classes):
        own = [
            (answers[(classes == label) & (groups == group)] == label).mean()
            for group in np.unique(groups[classes == label])
        ]
        gaps.append(max(own) - min(own) if len(own) > 1 else np.nan)
    return np.array(gaps, dtype=np.float64)
