"""The first look: whole intervals pass or fail, everything else stays open."""

import pytest

from sudare.audits.poc import questions, status_of
from sudare.core.findings import Finding, Status
from sudare.core.runs import Thresholds
from sudare.core.threats import ThreatModel


def finding(name, low, high):
    return Finding(
        id=name,
        release="plain",
        route="plain",
        threat_model=ThreatModel.CLASSIFIER_LOGITS,
        value=(low + high) / 2,
        low=low,
        high=high,
    )


def asked(*findings, classes=2):
    return questions(findings, "plain", n_classes=classes, thresholds=Thresholds())


@pytest.mark.parametrize(
    ("low", "high", "classes", "outcome"),
    [
        (0.76, 0.8, 2, "pass"),
        (0.74, 0.8, 2, "warn"),
        (0.5, 0.54, 2, "fail"),
        (0.5, 0.56, 2, "warn"),
        # Ten classes: guessing is right in one of ten.
        (0.56, 0.6, 10, "pass"),
        (0.1, 0.18, 10, "fail"),
    ],
)
def test_usefulness_is_measured_from_guessing(low, high, classes, outcome):
    found = asked(finding("utility.balanced_accuracy", low, high), classes=classes)
    assert found[0].outcome == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(0.5, 0.55, "pass"), (0.5, 0.56, "warn"), (0.64, 0.7, "warn"), (0.66, 0.7, "fail")],
)
def test_membership_is_held_against_the_lines_of_the_verdict(low, high, outcome):
    assert asked(finding("membership.loss.auc", low, high))[1].outcome == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(0.45, 0.5, "pass"), (0.3, 0.5, "warn"), (0.0, 0.05, "fail")],
)
def test_robustness_is_a_share_of_the_clean_accuracy(low, high, outcome):
    found = asked(
        finding("evasion.clean.accuracy", 0.7, 0.9), finding("evasion.pgd.accuracy@2", low, high)
    )
    assert found[-1].outcome == outcome


def test_what_was_not_measured_is_open_and_says_why():
    missing = Finding(
        id="membership.quantile.auc",
        release="plain",
        route="plain",
        threat_model=ThreatModel.CLASSIFIER_LOGITS,
        status=Status.UNRESOLVABLE,
        reason="too few images",
    )
    found = asked(missing)
    assert [a.outcome for a in found] == ["warn"] * 3
    assert found[2].told == "too few images"
    # Without the check there is no question about robustness.
    assert not any("255" in a.question for a in found)


@pytest.mark.parametrize(("auc", "status"), [((0.5, 0.52), 0), ((0.5, 0.6), 3), ((0.7, 0.8), 1)])
def test_the_exit_status_follows_the_worst_answer(auc, status):
    found = asked(
        finding("utility.balanced_accuracy", 0.8, 0.9),
        finding("membership.loss.auc", *auc),
        finding("membership.quantile.auc", 0.5, 0.52),
    )
    assert status_of(found) == status
