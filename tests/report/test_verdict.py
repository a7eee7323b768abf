from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sudare.core import Findings
from sudare.core.runs import RunSummary
from sudare.report.formats import control_failed
from sudare.report.load import Run, load_run
from sudare.report.text import TEXT
from sudare.report.verdict import verdict
from tests.report.conftest import PLANS, Plan, finding, write_run

PLAIN, POSITIVE, NEGATIVE, EPS8, EPS1, SUBSET = PLANS


def run_of(tmp_path: Path, *measured: tuple[Plan, float, float, float | None], **extra) -> Run:
    """A run whose releases have exactly this AUC, half width and utility."""
    folder = write_run(tmp_path / "run", plans=[item[0] for item in measured], finished=0, **extra)
    found = []
    for plan, auc, half, utility in measured:
        found.append(finding("membership.lira.auc", plan, auc, half))
        if utility is not None:
            found.append(finding("utility.balanced_accuracy", plan, utility, 0.01))
    (folder / "findings.json").write_text(Findings(findings=tuple(found)).to_json())
    return load_run(folder)


def test_verdict_names_highest_and_lowest_leakage_with_intervals_and_utility(run_folder: Path):
    found = verdict(load_run(run_folder)).found
    assert "Highest measured leakage: Label smoothing +0.1." in found
    assert "AUC 0.66 (0.65 to 0.67); 0.50 is a coin flip" in found
    assert "Lowest measured leakage: DP-SGD, epsilon 1," in found
    assert "balanced accuracy is 0.741 (0.735 to 0.747)" in found


def test_order_of_the_verdict_follows_values_not_order_of_releases(tmp_path: Path):
    run = run_of(tmp_path, (NEGATIVE, 0.55, 0.01, 0.9), (PLAIN, 0.65, 0.01, 0.9))
    found = verdict(run).found
    assert found.index("Plain classifier") < found.index("Label smoothing -0.05")


def test_overlapping_intervals_are_not_resolved(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.60, 0.02, 0.9), (NEGATIVE, 0.58, 0.02, 0.9))
    means = verdict(run).means
    assert "No release leaks less than Plain classifier by more than this run" in means
    assert "Which of the releases leaks most or least is not resolved" in means


def test_touching_intervals_are_not_resolved(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.625, 0.0625, 0.9), (NEGATIVE, 0.5, 0.0625, 0.9))
    assert "is not resolved" in verdict(run).means
    assert "leaks less" not in verdict(run).means.replace("No release leaks less", "")


def test_tie_at_the_lowest_end_is_named(tmp_path: Path):
    run = run_of(
        tmp_path, (PLAIN, 0.65, 0.01, 0.9), (EPS8, 0.53, 0.01, 0.8), (EPS1, 0.52, 0.01, 0.7)
    )
    tie = "Which of DP-SGD, epsilon 8; and DP-SGD, epsilon 1 leaks least is not resolved"
    assert tie in verdict(run).means
    assert "leaks most is not resolved" not in verdict(run).means


def test_less_leakage_is_priced_against_the_plain_classifier(tmp_path: Path):
    run = run_of(
        tmp_path,
        (POSITIVE, 0.7, 0.01, 0.96),
        (PLAIN, 0.62, 0.01, 0.95),
        (NEGATIVE, 0.55, 0.01, 0.945),
        (EPS1, 0.51, 0.01, 0.7),
        (SUBSET, 0.53, 0.01, None),
    )
    means = verdict(run).means
    assert (
        "Label smoothing -0.05 leaks less than Plain classifier, and a loss of utility is "
        "not resolved." in means
    )
    assert "DP-SGD, epsilon 1 leaks less than Plain classifier and is less useful." in means
    assert "Random subset, 10 images per class leaks less" in means
    assert "utility is not measured" in means
    assert "Label smoothing +0.1 leaks less" not in means


def test_attack_at_chance_is_reported_as_unresolved_and_not_as_absence(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.505, 0.01, 0.9), (EPS1, 0.5, 0.01, 0.7))
    found = verdict(run).found
    assert "for none of the 2 releases by more than this run can resolve" in found


def test_one_release_says_that_there_is_nothing_to_compare(tmp_path: Path):
    told = verdict(run_of(tmp_path, (PLAIN, 0.61, 0.02, 0.9)))
    assert "made 1 release from" in told.asked
    assert "AUC 0.61 (0.59 to 0.63); 0.50 is a coin flip" in told.found
    assert "nothing to compare it with" in told.means


def test_one_release_at_chance_is_not_said_to_leak(tmp_path: Path):
    told = verdict(run_of(tmp_path, (PLAIN, 0.505, 0.01, None)))
    assert "no better than a coin flip by more than this run can resolve" in told.found
    assert "Its utility is not measured." in told.found


def test_no_findings_give_a_verdict_without_numbers(tmp_path: Path):
    told = verdict(load_run(write_run(tmp_path / "run", finished=0)))
    assert told.found == TEXT["found_none"]
    assert told.means == TEXT["means_none"]
    assert told.gates == ""


def test_auc_below_chance_points_at_the_audit(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.61, 0.01, 0.9), (EPS1, 0.45, 0.01, 0.7))
    assert "lies below the coin flip, which points at a fault" in verdict(run).found


def test_null_control_counts_intervals_around_chance(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.505, 0.01, 0.9), (EPS1, 0.53, 0.01, 0.7), null_control=True)
    assert "in this null control: 2; of these, 1 include the coin flip" in verdict(run).found


def test_a_finding_without_interval_resolves_nothing(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.7, 0.0, 0.9), (EPS1, 0.5, 0.01, 0.7))
    assert "is not resolved" in verdict(run).means


def test_gates_are_counted_and_failures_named(run_folder: Path):
    gates = verdict(load_run(run_folder)).gates
    assert gates.startswith("1 pass, 1 fail, 1 undecided, 0 not evaluable.")
    assert "Failed: membership.lira.auc > 0.6 on Label smoothing +0.1." in gates


@pytest.mark.parametrize("declared", ["membership.rmia", "membership.lira"])
def test_declared_primary_attack_decides_the_verdict(run_folder: Path, declared: str):
    run = load_run(run_folder)
    summary = RunSummary.model_validate(
        run.summary.model_dump() | {"primary": {"classifier/logits": declared}}
    )
    chosen = Run(folder=run.folder, summary=summary, findings=run.findings, config="")
    assert chosen.primary_attack("plain") == declared


def test_unmeasured_balanced_accuracy_falls_back_to_accuracy(tmp_path: Path):
    plan = replace(PLAIN, name="other")
    folder = write_run(tmp_path / "run", plans=[plan], finished=0)
    found = finding("utility.accuracy", plan, 0.8, 0.01)
    (folder / "findings.json").write_text(Findings(findings=(found,)).to_json())
    assert load_run(folder).utility("other") == found


def test_held_out_accuracy_alone_prices_a_release(tmp_path: Path):
    folder = write_run(tmp_path / "run", plans=[PLAIN, EPS1], finished=0)
    found = [
        finding("membership.lira.auc", PLAIN, 0.62, 0.01),
        finding("membership.lira.auc", EPS1, 0.51, 0.01),
        finding("utility.heldout_accuracy", PLAIN, 0.95, 0.01),
        finding("utility.heldout_accuracy", EPS1, 0.71, 0.01),
    ]
    (folder / "findings.json").write_text(Findings(findings=tuple(found)).to_json())
    told = verdict(load_run(folder))
    assert "accuracy on each build's own held-out half is 0.71 (0.70 to 0.72)" in told.found
    assert "DP-SGD, epsilon 1 leaks less than Plain classifier and is less useful" in told.means


def test_utility_is_compared_by_the_figure_that_both_have(tmp_path: Path):
    folder = write_run(tmp_path / "run", plans=[PLAIN, EPS1], finished=0)
    found = [
        finding("membership.lira.auc", PLAIN, 0.62, 0.01),
        finding("membership.lira.auc", EPS1, 0.51, 0.01),
        finding("utility.balanced_accuracy", PLAIN, 0.60, 0.01),
        finding("utility.accuracy", PLAIN, 0.95, 0.01),
        finding("utility.accuracy", EPS1, 0.71, 0.01),
    ]
    (folder / "findings.json").write_text(Findings(findings=tuple(found)).to_json())
    run = load_run(folder)
    assert {run.utility(name).id for name in run.releases} == {"utility.accuracy"}
    assert "is less useful" in verdict(run).means


def test_a_failed_null_control_is_said_before_what_was_found(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.62, 0.01, 0.9), (EPS1, 0.51, 0.01, 0.7))
    good = finding("membership.lira.null_auc", EPS1, 0.502, 0.01)
    bad = finding("membership.rmia.null_auc", PLAIN, 0.55, 0.02)
    told = verdict(replace(run, findings=(*run.findings, good, bad)))
    assert told.control.startswith(
        "The null control failed for RMIA, online on Plain classifier, AUC 0.55 (0.53 to 0.57)."
    )
    assert "EPS1" not in told.control
    assert told.sentences[1] == told.control
    assert verdict(run).control == ""


@pytest.mark.parametrize(("value", "half"), [(0.5, 0.0), (0.5 + 1e-12, 1e-13), (0.51, 0.01)])
def test_a_control_at_one_half_has_not_failed(value: float, half: float):
    assert not control_failed(finding("membership.lira.null_auc", PLAIN, value, half))


def test_a_null_run_names_what_is_off_chance(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.505, 0.01, 0.9), (EPS1, 0.53, 0.01, 0.7), null_control=True)
    assert "The interval of DP-SGD, epsilon 1 does not." in verdict(run).found


def test_one_build_has_no_interval_to_quote(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.62, 0.01, None))
    one = finding("utility.balanced_accuracy", PLAIN, 0.953).model_copy(
        update={"low": 0.953, "high": 0.953}
    )
    told = verdict(replace(run, findings=(*run.findings, one)))
    assert "balanced accuracy is 0.953." in told.found
