from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sudare.core import Findings, Status
from sudare.core.lines import control_failed
from sudare.core.runs import RunSummary, Thresholds
from sudare.core.wording import catalogue
from sudare.report.load import Run, load_run
from sudare.report.text import builds_text
from sudare.report.verdict import verdict
from tests.report.conftest import PLANS, Plan, decided, finding, write_run

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
    return decided(load_run(folder))


def test_verdict_names_highest_and_lowest_leakage_with_intervals_and_utility(run_folder: Path):
    found = verdict(load_run(run_folder)).found
    assert "Highest measured leakage: Label smoothing +0.1." in found
    assert "in 66 of 100 tries (AUC 0.66 (0.65 to 0.67); guessing gets 50)" in found
    assert "Lowest measured leakage: DP-SGD, epsilon 1," in found
    assert "each class counting the same) is 0.741 (0.735 to 0.747)" in found


def test_order_of_the_verdict_follows_values_not_order_of_releases(tmp_path: Path):
    run = run_of(tmp_path, (NEGATIVE, 0.55, 0.01, 0.9), (PLAIN, 0.65, 0.01, 0.9))
    found = verdict(run).found
    assert found.index("Plain classifier") < found.index("Label smoothing -0.05")


def test_overlapping_intervals_are_not_resolved(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.60, 0.02, 0.9), (NEGATIVE, 0.58, 0.02, 0.9))
    means = verdict(run).means
    assert (
        "No release leaks less than Plain classifier by more than a run of this size can" in means
    )
    assert "Which of the releases leaks most or least a run of this size cannot tell" in means


def test_touching_intervals_are_not_resolved(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.625, 0.0625, 0.9), (NEGATIVE, 0.5, 0.0625, 0.9))
    assert "cannot tell" in verdict(run).means
    assert "leaks less" not in verdict(run).means.replace("No release leaks less", "")


def test_tie_at_the_lowest_end_is_named(tmp_path: Path):
    run = run_of(
        tmp_path, (PLAIN, 0.65, 0.01, 0.9), (EPS8, 0.53, 0.01, 0.8), (EPS1, 0.52, 0.01, 0.7)
    )
    tie = "Which of DP-SGD, epsilon 8; and DP-SGD, epsilon 1 leaks least a run of this size"
    assert tie in verdict(run).means
    assert "leaks most a run" not in verdict(run).means


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
        "Label smoothing -0.05 leaks less than Plain classifier, and is not shown to be less "
        "useful." in means
    )
    assert "DP-SGD, epsilon 1 leaks less than Plain classifier and is less useful." in means
    assert "Random subset, 10 images per class leaks less" in means
    assert "utility is not measured" in means
    assert "Label smoothing +0.1 leaks less" not in means


def test_attack_at_chance_is_reported_as_unresolved_and_not_as_absence(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.505, 0.01, 0.9), (EPS1, 0.5, 0.01, 0.7))
    found = verdict(run).found
    assert (
        "For none of the 2 releases did the attack LiRA, online do better than guessing by more"
        in found
    )


def test_one_release_says_that_there_is_nothing_to_compare(tmp_path: Path):
    told = verdict(run_of(tmp_path, (PLAIN, 0.61, 0.02, 0.9)))
    assert "made 1 release from" in told.asked
    assert "in 61 of 100 tries (AUC 0.61 (0.59 to 0.63); guessing gets 50)" in told.found
    assert "nothing to compare it with" in told.means


def test_one_release_at_chance_is_not_said_to_leak(tmp_path: Path):
    told = verdict(run_of(tmp_path, (PLAIN, 0.505, 0.01, None)))
    assert "no better than guessing by more than a run of this size can show" in told.found
    assert "Its utility is not measured." in told.found


def test_no_findings_give_a_verdict_without_numbers(tmp_path: Path):
    told = verdict(load_run(write_run(tmp_path / "run", finished=0)))
    assert told.found == catalogue("en")["found_none"]
    assert told.means == catalogue("en")["means_none"]
    assert told.gates == ""


def test_auc_below_chance_points_at_the_audit(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.61, 0.01, 0.9), (EPS1, 0.45, 0.01, 0.7))
    assert (
        "the wrong way round: are higher scores members? This points at a fault"
        in verdict(run).found
    )


def test_null_control_counts_intervals_around_chance(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.505, 0.01, 0.9), (EPS1, 0.53, 0.01, 0.7), null_control=True)
    assert "in this null control: 2; of these, 1 include guessing" in verdict(run).found


def test_a_finding_without_interval_resolves_nothing(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.7, 0.0, 0.9), (EPS1, 0.5, 0.01, 0.7))
    assert "cannot tell" in verdict(run).means


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
    assert told.sentences.index(told.control) < told.sentences.index(told.found)
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
    assert "each class counting the same) is 0.953." in told.found


DECISIONS = {
    "Share": 0.52,
    "Share with care": 0.60,
    "Do not share": 0.70,
    "Cannot tell": 0.65,
}


@pytest.mark.parametrize(("words", "auc"), DECISIONS.items())
def test_the_title_is_answered_by_the_declared_lines(tmp_path: Path, words: str, auc: float):
    run = run_of(tmp_path, (PLAIN, auc, 0.01, 0.9))
    assert verdict(run).answer == f"{words}: Plain classifier."
    assert "at most 55 of 100 tries" in verdict(run).rule


def test_the_lines_are_the_user_s(tmp_path: Path):
    strict = Thresholds(share_auc=0.51, refuse_auc=0.55)
    run = run_of(tmp_path, (PLAIN, 0.6, 0.01, 0.9), thresholds=strict)
    assert verdict(run).answer == "Do not share: Plain classifier."
    assert "above 55" in verdict(run).rule


def test_the_wrong_way_round_is_no_reason_to_share(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.3, 0.01, 0.9))
    assert verdict(run).answer == "Cannot tell: Plain classifier."
    assert "no better than guessing" not in verdict(run).found


def without_figure(run: Run, plan: Plan) -> Run:
    reason = "needs at least 30 distinct units"
    none = finding("membership.lira.auc", plan, None, status=Status.UNRESOLVABLE, reason=reason)
    return decided(replace(run, findings=(*run.findings, none)))


def test_an_attack_without_a_figure_came_to_an_end(tmp_path: Path):
    """Two given records were told to wait until "the first release is done"."""
    folder = write_run(tmp_path / "run", plans=[PLAIN], finished=0)
    told = verdict(without_figure(load_run(folder), PLAIN))
    assert told.answer == "Cannot tell: Plain classifier."
    assert "(needs at least 30 distinct units)" in told.found
    assert catalogue("en")["found_none"] not in told.found
    assert told.means == catalogue("en")["means_untold"]


def test_a_release_without_a_figure_is_not_left_out_of_the_answer(tmp_path: Path):
    measured = run_of(tmp_path, (PLAIN, 0.7, 0.01, 0.9))
    folder = write_run(tmp_path / "two", plans=[PLAIN, EPS1], finished=0)
    both = replace(load_run(folder), findings=measured.findings)
    told = verdict(without_figure(both, EPS1))
    assert told.answer == "Do not share: Plain classifier.\nCannot tell: DP-SGD, epsilon 1."
    assert "How much DP-SGD, epsilon 1 leaks cannot be told" in told.found


def test_a_few_exposed_images_are_a_reason_not_to_share(tmp_path: Path):
    """The verdict said AUC 0.62 of a release whose 12 most exposed X-rays had AUC 0.998."""
    run = run_of(tmp_path, (PLAIN, 0.53, 0.01, 0.9))
    worst = finding("membership.lira.worst_case", PLAIN, 0.99, 0.005)
    told = verdict(decided(replace(run, findings=(*run.findings, worst))))
    assert told.answer == "Do not share: Plain classifier."
    assert "tells nearly always whether they were used (AUC 0.990" in told.found


def test_the_attack_is_named_and_a_stronger_one_beside_it(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.6, 0.01, 0.9))
    other = finding("membership.bavaria.auc", PLAIN, 0.66, 0.01)
    told = verdict(replace(run, findings=(*run.findings, other)))
    assert "with the attack LiRA, online" in told.found
    assert "BaVarIA, online on Plain classifier is right in 66 of 100 tries" in told.found
    overlapping = finding("membership.bavaria.auc", PLAIN, 0.615, 0.01)
    assert (
        "strongest attack" not in verdict(replace(run, findings=(*run.findings, overlapping))).found
    )


def test_planted_images_are_in_the_verdict(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.54, 0.005, 0.9))
    planted = finding("canaries.mislabelled.lira.auc", PLAIN, 0.83, 0.02)
    told = verdict(replace(run, findings=(*run.findings, planted)))
    assert "planted as a worst case (mislabelled images)" in told.found
    assert "83 of 100 tries" in told.found


def test_a_release_that_holds_private_images_comes_first_and_is_not_to_be_shared(tmp_path: Path):
    """It stood in the best corner of the chart, and in the last third of the verdict."""
    run = run_of(tmp_path, (PLAIN, 0.6, 0.01, 0.9), (SUBSET, 0.5, 0.01, 0.9))
    copies = finding("membership.copies.tpr", SUBSET, 0.034, 0.001)
    told = verdict(decided(replace(run, findings=(*run.findings, copies))))
    assert f"Do not share: {SUBSET.label} (contains private images)" in told.answer
    assert told.found.startswith(f"Inside {SUBSET.label} are private images")
    assert "Lowest measured leakage" not in told.found


def test_no_word_of_the_trade_is_left_unexplained(run_folder: Path):
    told = " ".join(verdict(load_run(run_folder)).sentences)
    assert "resolve" not in told
    assert "its scores" not in told
    for at in re.finditer("AUC", told):
        before = told[max(0, at.start() - 40) : at.start()]
        assert "of 100 tries" in before or "whether they were used" in before


def test_a_given_model_is_never_fit_to_share(tmp_path: Path):
    run = run_of(tmp_path, (PLAIN, 0.52, 0.01, 0.9), mode="given")
    assert verdict(run).answer == "Cannot tell: Plain classifier."


def test_releases_of_different_numbers_of_builds_are_said_to_have_them(tmp_path: Path):
    folder = write_run(tmp_path / "run", plans=PLANS[:2])
    run = load_run(folder)
    assert builds_text(run.summary) == str(run.summary.builds)
    one, two = run.summary.releases
    own = [
        one.model_copy(update={"builds_planned": 16}),
        two.model_copy(update={"builds_planned": 4}),
    ]
    told = replace(run, summary=run.summary.model_copy(update={"releases": own}))
    assert "each 4 to 16 times over" in verdict(told).asked
