"""The verdict counts what is possible for whoever will hold a release, and says so."""

from dataclasses import replace

import pytest

from sudare.audits.compare import check
from sudare.audits.config import load_config, read_toml
from sudare.core.errors import ConfigError
from sudare.core.runs import Deployment
from sudare.core.threats import ThreatModel
from sudare.report.decisions import decisions_table
from sudare.report.deployment import possible
from sudare.report.load import load_run
from sudare.report.verdict import verdict
from tests.report.conftest import PLANS, decided, finding, write_run

LABELS, LOGITS = ThreatModel.CLASSIFIER_LABELS, ThreatModel.CLASSIFIER_LOGITS


def held(tmp_path, *sees, extra=(), plans=PLANS[:2]):
    run = load_run(write_run(tmp_path / "run", plans=plans))
    deployment = Deployment(holder="clinics behind our API", sees=sees)
    summary = run.summary.model_copy(update={"deployment": deployment})
    return decided(replace(run, summary=summary, findings=(*run.findings, *extra)))


def by_labels(plan, auc, attack="gap"):
    found = finding(f"membership.{attack}.auc", plan, auc, 0.005)
    return found.model_copy(update={"threat_model": LABELS})


def test_without_a_holder_everything_counts_as_before(tmp_path):
    run = held(tmp_path)
    assert possible(run) is run
    assert "Only what is possible" not in verdict(run).rule


def test_a_holder_who_sees_scores_changes_nothing_but_the_sentence(tmp_path):
    run = held(tmp_path, LOGITS)
    free = held(tmp_path / "other")
    assert verdict(run).answer == verdict(free).answer
    assert verdict(run).rule.startswith(
        "Only what is possible for clinics behind our API is counted: to see how sure it is"
    )


def test_an_attack_on_scores_does_not_condemn_what_only_answers(tmp_path):
    leaky, other = PLANS[1], PLANS[0]
    free = verdict(held(tmp_path / "free"))
    assert leaky.label not in free.answer.partition("Share:")[2].partition("\n")[0]
    extra = [by_labels(leaky, 0.52), by_labels(other, 0.51)]
    found = verdict(held(tmp_path / "labels", LABELS, extra=extra))
    assert found.answer == f"Share: {other.label} and {leaky.label}."
    assert "0.52" in found.found
    assert "LiRA" not in found.found


def test_the_first_screen_shows_what_the_holder_can_learn_and_no_more(tmp_path):
    extra = [by_labels(PLANS[1], 0.52), by_labels(PLANS[0], 0.51)]

    def learnt(run):
        table = decisions_table(run)
        return sorted(cell.text for row in table.rows for cell in row if "tries" in cell.text)

    told = learnt(held(tmp_path / "labels", LABELS, extra=extra))
    assert [text.partition("right in ")[2] for text in told] == [
        "51 of 100 tries",
        "52 of 100 tries",
    ]
    assert learnt(held(tmp_path / "free", extra=extra)) != told


def test_an_attack_on_answers_does_condemn(tmp_path):
    extra = [by_labels(plan, 0.8) for plan in PLANS[:2]]
    found = verdict(held(tmp_path, LABELS, extra=extra))
    assert found.answer.startswith("Do not share:")


def test_what_nobody_attacked_in_that_way_cannot_be_told(tmp_path):
    extra = [by_labels(PLANS[0], 0.51)]
    found = verdict(held(tmp_path, LABELS, extra=extra))
    assert PLANS[1].label in found.answer.partition("Cannot tell:")[2]


def test_of_several_attacks_the_one_declared_first_is_gone_by(tmp_path):
    extra = [by_labels(PLANS[0], 0.9), by_labels(PLANS[0], 0.5, "boundary_calibrated")]
    run = possible(held(tmp_path, LABELS, extra=extra, plans=PLANS[:1]))
    assert run.summary.primary[LABELS] == "membership.boundary_calibrated"


def test_a_holder_is_declared_in_the_configuration_and_checked_before_the_builds():
    values = read_toml("smoke")
    config = load_config({**values, "threat": {"holder": "us", "sees": ["classifier/labels"]}})
    check(config)
    assert config.threat.sees == (LABELS,)
    with pytest.raises(ConfigError, match="no release of this run shows anybody 'sampler/T1'"):
        check(load_config({**values, "threat": {"sees": ["sampler/T1"]}}))
