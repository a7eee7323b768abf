import pytest

from sudare.audits.checks.registry import declare_figures
from sudare.audits.decisions.gates import (
    check_gates,
    exit_status,
    gate_line,
    judge,
    parse_gate,
)
from sudare.audits.decisions.names import figure_names
from sudare.audits.decisions.requirements import parse_requirement
from sudare.core.errors import ConfigError
from sudare.core.findings import Finding, Status
from sudare.core.runs import GateResult, Verdict
from sudare.core.threats import ThreatModel


def finding(low, value, high, release="plain"):
    return Finding(
        id="membership.lira.auc",
        release=release,
        route="plain",
        threat_model=ThreatModel.CLASSIFIER_LOGITS,
        value=value,
        low=low,
        high=high,
    )


@pytest.mark.parametrize(
    ("low", "value", "high", "verdict", "status"),
    [
        (0.61, 0.65, 0.70, Verdict.FAIL, 1),
        (0.50, 0.55, 0.60, Verdict.PASS, 0),
        (0.55, 0.62, 0.66, Verdict.UNDECIDED, 3),
        (0.60, 0.62, 0.66, Verdict.UNDECIDED, 3),
    ],
)
def test_a_gate_is_decided_by_the_interval(low, value, high, verdict, status):
    results = judge(parse_gate("membership.lira.auc > 0.6"), [finding(low, value, high)], ["plain"])
    assert [result.verdict for result in results] == [verdict]
    assert exit_status(results) == status


def test_a_lower_bound_gate_is_the_mirror_image():
    gate = parse_gate("membership.lira.auc < 0.6")
    assert judge(gate, [finding(0.5, 0.55, 0.59)], ["plain"])[0].verdict is Verdict.FAIL
    assert judge(gate, [finding(0.6, 0.65, 0.7)], ["plain"])[0].verdict is Verdict.PASS


def test_a_gate_can_be_about_one_release():
    findings = [finding(0.7, 0.7, 0.7), finding(0.5, 0.5, 0.5, release="other")]
    gate = parse_gate("other: membership.lira.auc > 0.6")
    assert [r.release for r in judge(gate, findings, ["plain", "other"])] == ["other"]


def test_what_is_missing_or_unresolvable_is_not_evaluable():
    blank = Finding(
        id="membership.lira.auc",
        release="plain",
        route="plain",
        threat_model=ThreatModel.CLASSIFIER_LOGITS,
        status=Status.UNRESOLVABLE,
        reason="needs more",
    )
    gate = parse_gate("membership.lira.auc > 0.6")
    for findings, releases in (([blank], ["plain"]), ([], ["plain"]), ([], [])):
        results = judge(gate, findings, releases)
        assert [result.verdict for result in results] == [Verdict.NOT_EVALUABLE]
        assert exit_status(results) == 3


@pytest.mark.parametrize("text", ["membership.lira.auc > 0.6", "membership.lira.auc < 0.4"])
def test_a_null_control_decides_no_gate(text):
    null = finding(0.61, 0.65, 0.7).model_copy(update={"null_control": True})
    result = judge(parse_gate(text), [null], ["plain"])[0]
    assert result.verdict is Verdict.NOT_EVALUABLE
    assert "redrawn" in result.explanation


def test_no_gates_pass():
    assert exit_status([]) == 0


@pytest.mark.parametrize("text", ["", "auc", "auc >", "auc > x", "auc = 1", "auc > 1 > 2"])
def test_text_that_is_no_gate_is_refused(text):
    with pytest.raises(ConfigError, match="is not a gate"):
        parse_gate(text)


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("membership.lyra.auc > 0.5", "Did you mean membership.lira.auc"),
        ("membership.lira.tpr@0.01 > 0.5", ""),
        ("lira.auc > 0.5", "Did you mean membership.lira.auc"),
        ("membership.shokri.auc > 0.5", "there will be no finding"),
        ("plane: utility.accuracy < 0.5", "Did you mean plain"),
        ("xyz: utility.accuracy < 0.5", "There are: plain, smooth"),
        ("plain: utility.accuracy < 0.5", ""),
        ("canaries.ood.lira.auc > 0.5", ""),
        ("evasion.fgsm.accuracy@8 < 0.5", ""),
        ("evasion.apgd-ce.accuracy@8 < 0.3", ""),
        ("evasion.apgd-t.accuracy@2 < 0.3", ""),
        ("membership.rmia.tpr@1e-05 > 0.1", ""),
        ("privacy.epsilon > 8", ""),
        ("membership.copies.tpr > 0", ""),
        ("plain: auc > 0.6", ""),
        ("tpr@0.01 > 0.02", ""),
        ("balanced_acuracy < 0.8", "Did you mean balanced_accuracy"),
        ("evasion.apgd-c.accuracy@8 < 0.3", "Did you mean evasion.apgd-ce.accuracy@8"),
    ],
)
def test_a_gate_that_can_name_no_finding_is_refused_before_any_work(gate, said):
    arguments = [gate], ["plain", "smooth"], ["lira", "rmia"]
    if not said:
        assert check_gates(*arguments, primary="lira")[0].expression == gate
        return
    with pytest.raises(ConfigError, match=said):
        check_gates(*arguments, primary="lira")


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (Verdict.PASS, "PASS: plain: membership.lira.auc is not above 0.9 (0.53)"),
        (Verdict.FAIL, "FAIL: plain: membership.lira.auc is above 0.9 (0.53)"),
        (Verdict.UNDECIDED, "UNDECIDED: plain: membership.lira.auc > 0.9 (0.53)"),
    ],
)
def test_a_passing_gate_does_not_read_as_if_its_line_was_crossed(verdict, line):
    result = GateResult(
        expression="membership.lira.auc > 0.9", release="plain", verdict=verdict, explanation="0.53"
    )
    assert gate_line(result) == line


def test_every_declared_figure_can_be_named_in_a_gate_and_in_a_requirement():
    declare_figures()
    for name in figure_names(["rmia"]):
        for rate in ("", "@0.01", "@1e-05"):
            text = f"plain: {name}{rate} > 0.5"
            (gate,) = check_gates([text], ["plain"], ["rmia"], primary="rmia")
            assert gate.name == f"{name}{rate}"
            assert parse_requirement(f"{name}{rate} >= 1", primary="rmia").name == gate.name


@pytest.mark.parametrize(
    ("name", "value", "low", "gate", "verdict"),
    [
        ("privacy.epsilon", 1e6, 1e6, "privacy.epsilon > 8", Verdict.FAIL),
        ("privacy.epsilon", 2.0, 2.0, "privacy.epsilon > 8", Verdict.PASS),
        ("membership.copies.tpr", 0.0456, 0.0456, "membership.copies.tpr > 0", Verdict.FAIL),
        ("membership.copies.tpr", 0.0456, None, "membership.copies.tpr > 0", Verdict.FAIL),
        ("membership.copies.tpr", 0.0, 0.0, "membership.copies.tpr > 0", Verdict.PASS),
        ("utility.accuracy", 0.875, 0.875, "utility.accuracy < 0.8", Verdict.UNDECIDED),
        ("utility.accuracy", 0.875, None, "utility.accuracy < 0.8", Verdict.NOT_EVALUABLE),
        ("sampler.nearest.auc", 0.1, 0.09, "sampler.nearest.auc > 0.6", Verdict.UNDECIDED),
        ("outsider.auc", 0.1, 0.09, "outsider.auc > 0.6", Verdict.UNDECIDED),
    ],
)
def test_what_is_known_exactly_decides_and_what_has_no_width_does_not(
    name, value, low, gate, verdict
):
    high = None if low is None else 2 * value - low
    one = finding(low, value, high).model_copy(update={"id": name})
    assert judge(parse_gate(gate), [one], ["plain"])[0].verdict is verdict


@pytest.mark.parametrize(
    "name", ["auc", "tpr@0.01", "worst_case", "balanced_accuracy", "epsilon", "robust_accuracy@8"]
)
def test_a_short_name_is_the_same_figure_in_a_gate_and_in_a_requirement(name):
    (gate,) = check_gates([f"plain: {name} > 0.5"], ["plain"], ["rmia"], primary="rmia")
    assert gate.name == parse_requirement(f"{name} <= 0.5", primary="rmia").name
    assert "." in gate.name
