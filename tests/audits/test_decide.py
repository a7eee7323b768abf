"""Requirements against findings: whole intervals decide, and what would have to change is said."""

import pytest

from sudare.audits.decide import decide, parse_requirement, said
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
    assert found.holds["tpr@0.01 <= 0.03"] is False


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
    assert (found.verdict, found.numbers["tpr@0.01 <= 0.03"]) == ("undecided", "")


def test_where_none_qualifies_it_is_said_what_would_have_to_change():
    found = decide(WANTED, run(leaky=(0.9, 0.2), weak=(0.8, 0.01)), ["leaky", "weak"])
    lines = said(found, WANTED, {"leaky": "Leaky net", "weak": "Weak net"})
    assert lines[3].startswith("No release is known to qualify")
    assert "'accuracy >= 0.85': Weak net meets all others and has 0.8" in lines[4]
    assert "'tpr@0.01 <= 0.03': Leaky net meets all others and has" in lines[5]
    assert "(missed)" in lines[5]
    lines = said(decide(WANTED, run(poor=(0.5, 0.5)), ["poor"]), WANTED, {})
    assert lines[-1] == "  without 'tpr@0.01 <= 0.03' still none qualifies"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accuracy > 0.8", "is not a requirement"),
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
    ],
)
def test_short_names_stand_for_findings(text, name):
    assert parse_requirement(text, primary="rmia").name == name
