"""Figures other than averages: labels, tables, and what the public page keeps to itself."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from sudare.core import Status
from sudare.report import ReportPaths
from sudare.report.editions import public_copy
from sudare.report.load import load_run
from sudare.report.sections.canaries import planted_images
from sudare.report.sections.classes import groups_table
from sudare.report.sections.findings import findings_table
from sudare.report.sections.worst_case import exposure_table
from sudare.report.tables import glossary, reading, severity
from tests.report.conftest import CLASSES, PLANS, UNITS, finding

PLAIN = PLANS[0]


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", found[0])) if found else ""


def test_the_most_exposed_are_named_with_their_number_and_share(run_folder: Path):
    run = load_run(run_folder)
    worst = run.get("membership.lira.worst_case", "plain")
    assert worst is not None
    assert run.named(worst) == f"LiRA, online: AUC of the 14 most exposed units (1 % of {UNITS:,})"


def test_the_share_is_that_of_the_units_there_are(run_folder: Path):
    run = load_run(run_folder)
    data = run.summary.data.model_copy(update={"pool": 400, "pool_units": 400})
    run = replace(run, summary=run.summary.model_copy(update={"data": data}))
    worst = finding("membership.lira.worst_case", PLAIN, 0.7, 0.1, part_units=10)
    assert run.part(worst) == "the 10 most exposed images (2.5 % of 400)"


def test_the_public_page_does_not_say_how_many_the_most_exposed_are(run_folder: Path):
    copy = public_copy(load_run(run_folder))
    worst = copy.get("membership.lira.worst_case", "plain")
    assert worst is not None
    assert copy.named(worst) == "LiRA, online: AUC of the most exposed"


def test_exposure_has_a_row_for_each_release_and_an_interval_in_each_cell(run_folder: Path):
    table = exposure_table(load_run(run_folder))
    assert table is not None
    assert [row[0].text for row in table.rows] == [plan.label for plan in PLANS]
    assert [cell.text for cell in table.rows[0][2:]] == ["1.2 %", "3.1 %", "0.410", "18.0 %"]
    assert all(" to " in cell.small for row in table.rows for cell in row[1:])


def test_every_figure_of_the_findings_is_explained_once(pages: ReportPaths):
    page = pages.public.read_text(encoding="utf-8")
    said = section(page, "findings").partition("What the figures mean")[2]
    for term in ("Accusations that are right", "Null control", "Epsilon", "Recall"):
        assert len(re.findall(rf"(?:^|\. ) ?{term} ", said)) == 1, term
    twice = [finding("membership.lira.auc", PLAIN, 0.6), finding("membership.loss.auc", PLAIN, 0.6)]
    assert len(glossary(twice)) == 1


def test_classes_have_a_table_with_intervals(run_folder: Path):
    table = groups_table(load_run(run_folder))
    assert table is not None
    assert len(table.rows) == len(CLASSES) * len(PLANS)
    assert all(cell.small for row in table.rows for cell in (row[2], row[4]))


def test_planted_images_are_apart_from_the_average(pages: ReportPaths, run_folder: Path):
    run = load_run(run_folder)
    shown = planted_images(run)
    assert shown is not None
    assert [name for name, _ in shown.kinds] == ["Mislabelled images"]
    assert len(shown.table.rows) == 2 * len(PLANS)
    assert shown.table.rows[0][-1].text == run_auc(run)
    others = findings_table(run)
    assert not [row for row in others.rows if row[0].small.startswith("canaries.")]
    page = pages.public.read_text(encoding="utf-8")
    assert "Worst case: planted images" in section(page, "canaries")
    assert "planted" not in section(page, "findings").lower()


def run_auc(run) -> str:
    return f"{run.get('membership.lira.auc', 'smoothing-pos').value:.3f}"


def test_a_failed_control_is_on_top_and_no_leak(run_folder: Path):
    failed = finding("membership.lira.null_auc", PLAIN, 0.56, 0.02)
    passed = finding("membership.lira.null_auc", PLAIN, 0.50, 0.02)
    leak = finding("membership.lira.auc", PLAIN, 0.9, 0.02)
    assert sorted([leak, passed, failed], key=severity) == [failed, leak, passed]
    assert reading(failed) == ("control failed", "bad")
    assert reading(passed) == ("control passed", "good")


def test_findings_of_a_null_control_are_read_as_such():
    off = finding("membership.lira.auc", PLAIN, 0.6, 0.02, null_control=True)
    near = finding("membership.lira.auc", PLAIN, 0.51, 0.02, null_control=True)
    assert reading(off)[0] == "null control: off chance"
    assert reading(near)[0] == "null control: at chance"
    cost = finding("cost.build_cpu_s", PLAIN, 1.0, 0.1, null_control=True)
    assert reading(cost)[0] == "null control: measured"


def test_where_nothing_is_measured_there_is_no_table_of_exposure(run_folder: Path):
    run = load_run(run_folder)
    missing = {"status": Status.UNRESOLVABLE, "reason": "needs at least 8 builds and 20 units"}
    worst = finding("membership.lira.worst_case", PLAIN, None, **missing)
    assert exposure_table(replace(run, findings=(worst,))) is None


def test_public_precision_says_what_its_rate_needs_and_not_what_there_is(run_folder: Path):
    run = load_run(run_folder)
    missing = {"status": Status.UNRESOLVABLE, "reason": f"needs 10,000 units, has {UNITS}"}
    rare = finding("membership.lira.precision@0.0001", PLAIN, None, **missing)
    (copy,) = public_copy(replace(run, findings=(rare,))).findings
    assert copy.reason == "needs 10,000 distinct non-member units and 100,000 scored pairs"
