"""Requirements against findings: whole intervals decide, and what would have to change is said."""

import pytest

from sudare.audits.decisions.requirements import (
    parse_demand,
    parse_requirement,
    rank,
    said,
    status_of,
)
from sudare.core.decisions import Answer, Decision, Outcome, Reply
from sudare.core.errors import ConfigError
from sudare.core.findings import Finding, Status
from sudare.core.threats import ThreatModel


def finding(release, name, value, half=0.01, threat="classifier/logits", **values):
    return Finding(
        id=name,
        release=release,
        route="plain",
        threat_model=ThreatModel(threat),
        value=value,
        low=value - half,
        high=value + half,
        **values,
    )


def run(**releases):
    """Accuracy and TPR of releases."""
    return [
        item
        for name, (accuracy, tpr) in releases.items()
        for item in (
            finding(name, "utility.accuracy", accuracy),
            finding(name, "membership.rmia.tpr@0.01", tpr, half=0.005),
        )
    ]


def wanted(*texts):
    return [parse_requirement(text, primary="rmia") for text in texts]


WANTED = wanted("accuracy >= 0.85", "tpr@0.01 <= 0.03")


def decide(requirements, findings, releases, *, showing=(), outcomes=None):
    made = {
        name: Decision(
            release=name,
            outcome=Outcome.REFUSE
            if name in showing
            else Outcome((outcomes or {}).get(name, "share")),
            answers=(
                Answer(question="copies", reply=Reply.LEAKS if name in showing else Reply.CLEAN),
            ),
        )
        for name in releases
    }
    return rank(requirements, findings, made, releases)


def test_whole_intervals_decide_and_the_best_come_first():
    found = decide(
        WANTED,
        run(leaky=(0.9, 0.2), good=(0.9, 0.01), close=(0.855, 0.01), poor=(0.5, 0.5)),
        ["poor", "leaky", "close", "good"],
    )
    assert [(d.release, d.verdict) for d in found] == [
        ("good", "qualifies"),
        ("close", "undecided"),
        ("leaky", "does not"),
        ("poor", "does not"),
    ]


def test_a_release_that_contains_private_images_never_qualifies():
    found = decide(WANTED, run(subset=(0.99, 0.0), poor=(0.5, 0.5)), ["subset", "poor"])
    assert found[0].verdict == "qualifies"
    found = decide(
        WANTED, run(subset=(0.99, 0.0), poor=(0.5, 0.5)), ["subset", "poor"], showing={"subset"}
    )
    assert [d.release for d in found] == ["poor", "subset"]
    assert "contains private images" in said(found, WANTED, {})[1]
    assert not any("subset" in line for line in said(found, WANTED, {})[2:])


def test_a_figure_counts_at_its_worst_attacker():
    findings = [
        *run(one=(0.9, 0.01)),
        finding("one", "membership.rmia.tpr@0.01", 0.5, threat="classifier/weights"),
    ]
    (found,) = decide(WANTED, findings, ["one"])
    assert found.met["tpr@0.01 <= 0.03"].holds is False


def test_what_was_not_measured_decides_nothing():
    findings = [
        *run(one=(0.9, 0.01))[:1],
        Finding(
            id="membership.rmia.tpr@0.01",
            release="one",
            route="plain",
            threat_model=ThreatModel("classifier/logits"),
            status=Status.UNRESOLVABLE,
            reason="too few",
        ),
    ]
    (found,) = decide(WANTED, findings, ["one"])
    assert (found.verdict, found.met["tpr@0.01 <= 0.03"].number) == ("undecided", "")


def test_where_none_qualifies_it_is_said_what_would_have_to_change():
    found = decide(WANTED, run(leaky=(0.9, 0.2), weak=(0.8, 0.01)), ["leaky", "weak"])
    lines = said(found, WANTED, {"leaky": "Leaky net", "weak": "Weak net"})
    assert lines[3].startswith("No release is known to qualify")
    assert "'accuracy >= 0.85': Weak net meets all others; it has 0.8" in lines[4]
    assert "'tpr@0.01 <= 0.03': Leaky net meets all others; it has" in lines[5]
    assert "(missed)" in lines[5]
    lines = said(decide(WANTED, run(poor=(0.5, 0.5)), ["poor"]), WANTED, {})
    assert lines[-1] == "  without 'tpr@0.01 <= 0.03' still none qualifies"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accuracy = 0.8", "is not a requirement"),
        ("accuracy >= much", "is not a requirement"),
        ("accuracy >= 1.2.3", "is not a requirement"),
        ("acurracy >= 0.8", "Did you mean accuracy"),
        ("membership.lyra.auc <= 0.6", "there will be no finding"),
    ],
)
def test_what_is_no_requirement_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_requirement(text, primary="rmia")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("accuracy >= 0.8", "utility.accuracy"),
        ("auc <= 0.6", "membership.rmia.auc"),
        ("robust_accuracy@8 >= 0.3", "evasion.autoattack.accuracy@8"),
        ("utility.ece <= 0.1", "utility.ece"),
        ("tpr@0.00001 <= 0.1", "membership.rmia.tpr@1e-05"),
        ("evasion.apgd-ce.accuracy@8 >= 0.3", "evasion.apgd-ce.accuracy@8"),
    ],
)
def test_short_names_stand_for_findings(text, name):
    assert parse_requirement(text, primary="rmia").name == name


def test_scores_the_wrong_way_round_qualify_nothing():
    """AUC .147 (.131 to .163) is a leak of .853 for whoever turns it around."""
    turned = [
        finding("one", "membership.rmia.auc", 0.147, half=0.016),
        finding("one", "membership.rmia.tpr@0.01", 0.001, half=0.0005),
    ]
    for text in ("auc <= 0.6", "tpr@0.01 <= 0.02"):
        (found,) = decide(wanted(text), turned, ["one"])
        assert found.verdict == "undecided", text
        assert found.met[text].why == "wrong_way"


def test_the_worst_attacker_is_the_one_whose_interval_fares_worst():
    findings = [
        finding("one", "membership.rmia.auc", 0.60, half=0.01),
        finding("one", "membership.rmia.auc", 0.59, half=0.1, threat="classifier/weights"),
    ]
    (found,) = decide(wanted("auc <= 0.62"), findings, ["one"])
    assert found.verdict == "undecided"


def test_a_number_without_an_interval_qualifies_nothing_and_a_claim_does():
    robust = finding("one", "evasion.autoattack.accuracy@8", 0.31)
    robust = robust.model_copy(update={"low": None, "high": None})
    (found,) = decide(wanted("robust_accuracy@8 >= 0.3"), [robust], ["one"])
    assert found.verdict == "undecided"
    claim = finding("one", "privacy.epsilon", 2.0, half=0.0)
    (found,) = decide(wanted("epsilon <= 1"), [claim], ["one"])
    assert found.verdict == "does not"


def test_of_those_that_miss_the_one_that_misses_by_the_smallest_share_comes_first():
    requirements = wanted("accuracy >= 0.9", "epsilon <= 1")
    findings = [
        finding("poor", "utility.accuracy", 0.2),
        finding("poor", "privacy.epsilon", 0.5, half=0.0),
        finding("close", "utility.accuracy", 0.95),
        finding("close", "privacy.epsilon", 1.2, half=0.0),
    ]
    assert [one.release for one in decide(requirements, findings, ["poor", "close"])] == [
        "close",
        "poor",
    ]


def test_a_figure_that_nobody_measured_is_not_said_to_need_more_builds():
    found = decide(wanted("epsilon <= 1"), run(plain=(0.9, 0.01)), ["plain"])
    assert "this was not measured" in said(found, wanted("epsilon <= 1"), {})[-1]


@pytest.mark.parametrize(
    ("text", "outcome", "verdict", "status"),
    [
        ("decision = share", "share", "qualifies", 0),
        ("decision == share", "share", "qualifies", 0),
        ("decision = share", "care", "does not", 1),
        ("decision = share", "unknown", "undecided", 3),
        ("decision != refuse", "care", "qualifies", 0),
        ("decision != refuse", "refuse", "does not", 1),
        ("decision != refuse", "unknown", "undecided", 3),
    ],
)
def test_a_decision_can_be_required_and_sets_the_exit_status(text, outcome, verdict, status):
    demand = parse_demand(text, primary="rmia")
    found = decide([demand], [], ["one"], outcomes={"one": outcome})
    assert found[0].verdict == verdict
    assert status_of(found) == status


def test_a_decision_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="there is no decision 'perhaps'"):
        parse_demand("decision = perhaps", primary="rmia")
