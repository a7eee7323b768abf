"""Expected orders: resolved by intervals only, with a possible cause where one is broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sudare.core import Finding
from sudare.core.runs import Mode
from sudare.report.load import load_run
from sudare.report.sections.orderings import (
    Outcome,
    Ranking,
    expectations,
    orderings_summary,
    orderings_table,
)
from tests.report.conftest import PLANS, Plan, finding, write_run

PLAIN, _, _, EPS8, EPS1, SUBSET = PLANS
POSITIVE = Plan("smoothing+0.1", "Label smoothing +0.1", "smoothing", 0.66, 0.9, "A classifier.")
NEGATIVE = Plan("smoothing-0.05", "Label smoothing -0.05", "smoothing", 0.56, 0.9, "A classifier.")
LIRA, OFFLINE = "membership.lira.auc", "membership.lira_offline.auc"


def run_of(tmp_path: Path, *found: Finding, plans=(PLAIN, EPS8, EPS1, POSITIVE, NEGATIVE), **extra):
    run = load_run(write_run(tmp_path / "run", plans=plans, finished=0, **extra))
    return replace(run, findings=found)


@pytest.mark.parametrize(
    ("offline", "outcome"),
    [(0.55, Outcome.HOLDS), (0.59, Outcome.OPEN), (0.70, Outcome.VIOLATED)],
)
def test_an_online_attack_is_expected_to_do_no_worse(tmp_path: Path, offline, outcome):
    online = finding(LIRA, PLAIN, 0.60, 0.01)
    run = run_of(tmp_path, online, finding(OFFLINE, PLAIN, offline, 0.01))
    (item,) = expectations(run)
    assert (item.ranking, item.outcome) == (Ranking.ONLINE, outcome)


def test_a_broken_order_has_a_possible_cause_and_no_proof(tmp_path: Path):
    run = run_of(
        tmp_path, finding(LIRA, PLAIN, 0.60, 0.01), finding(OFFLINE, PLAIN, 0.70, 0.01), builds=16
    )
    table = orderings_table(run)
    assert table is not None
    cells = [cell.text for cell in table.rows[0]]
    assert cells[1:4] == [
        "LiRA, offline: Plain classifier",
        "LiRA, online: Plain classifier",
        "does not hold",
    ]
    assert cells[4].startswith("Possible cause, not shown: with few builds an online attack")
    assert "(here 7)" in cells[4]


def test_with_many_builds_few_shadows_are_no_cause(tmp_path: Path):
    run = run_of(
        tmp_path, finding(LIRA, PLAIN, 0.60, 0.01), finding(OFFLINE, PLAIN, 0.70, 0.01), builds=64
    )
    table = orderings_table(run)
    assert table is not None
    assert "few builds" not in table.rows[0][4].text


def test_a_smaller_epsilon_is_expected_to_leak_no_more(tmp_path: Path):
    run = run_of(
        tmp_path,
        finding("privacy.epsilon", EPS8, 8.0),
        finding("privacy.epsilon", EPS1, 1.0),
        finding(LIRA, EPS8, 0.52, 0.01),
        finding(LIRA, EPS1, 0.58, 0.01),
    )
    (item,) = expectations(run)
    assert (item.lower.release, item.higher.release) == ("dpsgd-eps1", "dpsgd-eps8")
    assert item.outcome is Outcome.VIOLATED


def test_smoothing_is_expected_in_the_order_of_its_sign(tmp_path: Path):
    run = run_of(
        tmp_path,
        finding(LIRA, NEGATIVE, 0.56, 0.01),
        finding(LIRA, PLAIN, 0.60, 0.01),
        finding(LIRA, POSITIVE, 0.605, 0.01),
    )
    found = {(item.lower.release, item.higher.release): item.outcome for item in expectations(run)}
    assert found == {
        ("plain", "smoothing+0.1"): Outcome.OPEN,
        ("smoothing-0.05", "plain"): Outcome.HOLDS,
    }
    assert orderings_summary(run) == "Hold: 1. Do not hold: 0. Not resolved: 1."


def test_privacy_is_expected_to_cost_utility(tmp_path: Path):
    run = run_of(
        tmp_path,
        finding("privacy.epsilon", EPS1, 1.0),
        finding("utility.balanced_accuracy", EPS1, 0.71, 0.01),
        finding("utility.balanced_accuracy", PLAIN, 0.95, 0.01),
    )
    (item,) = expectations(run)
    assert (item.ranking, item.outcome) == (Ranking.PRICE, Outcome.HOLDS)


def test_a_release_without_its_counterpart_expects_nothing(tmp_path: Path):
    found = (finding(LIRA, SUBSET, 0.60, 0.01), finding("privacy.epsilon", EPS1, 1.0))
    run = run_of(tmp_path, *found, plans=(SUBSET, EPS1))
    assert expectations(run) == []
    assert orderings_table(run) is None


def test_redrawn_membership_has_no_order_and_an_artefact_only_that_of_attacks(tmp_path: Path):
    found = [finding(name, PLAIN, 0.6, 0.01) for name in (LIRA, OFFLINE)]
    found += [finding(LIRA, POSITIVE, 0.6, 0.01)]
    null = run_of(tmp_path / "null", *found, null_control=True)
    assert expectations(null) == []
    one = run_of(tmp_path / "one", *found, mode=Mode.ARTEFACT)
    assert [item.ranking for item in expectations(one)] == [Ranking.ONLINE]
