"""A run on one release, or on a model or scores that were given, is worded as what it is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sudare.audits.external import audit_model, audit_scores
from sudare.audits.external_scores import GivenTable
from sudare.core.runs import Mode
from sudare.report import ReportPaths, write_report
from sudare.report.load import load_run
from sudare.report.verdict import verdict
from tests.report.conftest import PLANS, write_run

OF_COMPARISONS = (
    "times over",
    "random half",
    "compare",
    "releases",
    "builds per release",
    "baseline",
    "Leakage against utility",
)


def artefact(folder: Path, **extra: object) -> Path:
    return write_run(folder, plans=PLANS[:1], mode=Mode.ARTEFACT, limits=(), gates=(), **extra)


def given_scores(folder: Path) -> Path:
    rng = np.random.default_rng(5)
    membership = np.arange(400) % 2 == 0
    scores = rng.normal(size=400) + membership
    table = GivenTable(scores=scores[None], membership=membership[None], units=np.arange(400))
    audit_scores(table, folder=folder, title="scores.npz")
    return folder


def given_model(folder: Path) -> Path:
    rng = np.random.default_rng(5)
    labels = np.arange(300) % 3
    answers = rng.normal(size=(300, 3)) + 2 * np.eye(3)[labels]
    sides = [(answers * (1 + inside), labels) for inside in (1, 0)]
    audit_model(lambda records: records, sides[0], sides[1], folder=folder, title="their model")
    return folder


def page_text(paths: ReportPaths, edition: str) -> str:
    page = getattr(paths, edition).read_text(encoding="utf-8")
    body = page.partition("<body")[2].partition("<script>")[0].partition("<pre")[0]
    return re.sub(r"<[^>]*>", " ", body)


@pytest.mark.parametrize("make", [artefact, given_scores, given_model])
@pytest.mark.parametrize("edition", ["internal", "public"])
def test_pages_of_one_thing_speak_of_no_comparison(tmp_path: Path, make, edition: str):
    said = page_text(write_report(make(tmp_path / "run")), edition)
    assert [words for words in OF_COMPARISONS if words in said] == []


def test_an_artefact_is_the_very_one_that_ships(tmp_path: Path):
    told = verdict(load_run(artefact(tmp_path / "run")))
    assert "one release made from Handwritten digits" in told.asked
    assert "16 shadow builds" in told.asked
    assert "withheld (non-members)" in told.asked
    assert told.found.startswith(
        "Plain classifier: sharing it lets an attacker who sees how sure it is of each class"
    )
    assert "balanced accuracy (share of right answers" in told.found
    assert told.means.startswith("This holds of this very release")


def test_given_scores_are_judged_and_no_build_is_spoken_of(tmp_path: Path):
    told = verdict(load_run(given_scores(tmp_path / "run")))
    assert "given the attack scores in scores.npz" in told.asked
    assert told.found.startswith("scores.npz: these scores tell which of two records")
    assert "build" not in told.asked + told.found + told.means
    assert "utility" not in told.found


def test_a_given_model_names_the_records_and_the_weakness_of_the_attacks(tmp_path: Path):
    told = verdict(load_run(given_model(tmp_path / "run")))
    assert told.asked.startswith("Sudare was given their model, with records said to")
    assert "the weakest there are" in told.means


def test_a_comparison_of_one_release_stays_a_comparison(tmp_path: Path):
    told = verdict(load_run(write_run(tmp_path / "run", plans=PLANS[:1])))
    assert told.asked.startswith("Sudare made 1 release from Handwritten digits, 16 times over")
    assert "nothing to compare it with" in told.means
