from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from sudare.audits.decisions.questions import QUESTIONS
from sudare.core import AuditError, Finding, Status, SudareError, ThreatModel
from sudare.core.runs import RunSummary
from sudare.core.wording import catalogue, listed, say
from sudare.report import ReportPaths, write_report
from sudare.report.blocks import Block, Paragraph, Pictures
from sudare.report.load import load_run
from sudare.report.sections.exposed import galleries
from sudare.report.sections.findings import findings_table, gates_table
from sudare.report.sections.orderings import orderings_table
from sudare.report.sections.releases import guarantees, releases_table
from sudare.report.tables import severity
from sudare.report.text import finding_name
from tests.report.conftest import PLANS, finding, write_run

SOURCES = Path(__file__).parents[2] / "src" / "sudare" / "report"


def test_no_sentence_calls_anything_safe():
    texts = [
        *catalogue("en").values(),
        *(path.read_text() for path in SOURCES.glob("templates/*.html.j2")),
    ]
    assert not [text for text in texts if re.search(r"\bsafe(ty|ly)?\b", text, re.IGNORECASE)]


def test_every_question_has_words_for_every_answer_that_makes_a_decision():
    for question in QUESTIONS:
        replies = {
            "sound": ("undecided", "not_measured"),
            "useful": ("leaks", "undecided", "not_measured"),
            "copies": ("leaks", "undecided", "not_measured"),
            "bounds": ("leaks", "undecided", "not_measured"),
        }.get(question.id, ("leaks", "between", "undecided", "not_measured"))
        for reply in replies:
            assert f"why_{question.id}_{reply}" in catalogue("en")


def test_unknown_sentence_or_missing_field_is_our_error():
    with pytest.raises(SudareError, match="no_such_text"):
        say("no_such_text")
    with pytest.raises(SudareError, match="banner_running"):
        say("banner_running", done=1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("membership.rmia_offline.auc", "RMIA, offline: AUC"),
        ("membership.lira.tpr@0.001", "LiRA, online: members found at 0.1 % false alarms"),
        ("utility.ece", "Calibration error"),
        ("membership.lira.tpr@0.05", "LiRA, online: members found at 5 % false alarms"),
        ("membership.lira.precision@0.01", "LiRA, online: accusations that are right"),
        ("membership.my_own.auc", "My own: AUC"),
        ("canaries.ood.my_own.auc", "Images unlike all others: My own: AUC"),
        ("evasion.pgd.success_rate", "Evasion, pgd: success rate"),
        ("odd", "Odd"),
    ],
)
def test_findings_have_human_names_and_unknown_ones_are_put_in_words(name: str, expected: str):
    assert finding_name(name).startswith(expected)


def test_lists_stay_readable_when_names_hold_commas():
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a, 1", "b", "c"]) == "a, 1; b; and c"
    assert listed([]) == "none"


def test_long_lists_end_in_a_count():
    assert listed(list("abcde"), most=4) == "a, b, c and 2 others"
    assert listed(list("abcd"), most=4) == "a, b, c and d"


def test_severity_puts_leakage_above_chance_first_then_failures(run_folder: Path):
    plan = PLANS[0]
    failed = finding(
        "membership.rmia.auc", plan, None, status=Status.FAILED, reason="out of memory"
    )
    above = finding("membership.lira.auc", plan, 0.6, 0.01)
    worse = finding("membership.lira.auc", PLANS[1], 0.7, 0.01)
    open_ = finding("membership.loss.auc", plan, 0.505, 0.01)
    cost = finding("cost.storage_mb", plan, 1.0)
    order = sorted([cost, open_, failed, above, worse], key=severity)
    assert order == [worse, above, failed, open_, cost]


def test_failed_and_undecided_gates_are_on_top(run_folder: Path):
    table = gates_table(load_run(run_folder))
    assert table is not None
    assert [row[2].text for row in table.rows] == ["fail", "undecided", "pass"]


def test_cells_without_a_number_say_what_is_needed(run_folder: Path):
    table = releases_table(load_run(run_folder))
    assert table.rows[-1][5].text == "n/a (needs a trained release)"


def test_leakage_below_chance_is_not_read_as_leakage(run_folder: Path):
    run = load_run(run_folder)
    low = finding("membership.lira.auc", PLANS[0], 0.4, 0.01)
    texts = findings_table(
        type(run)(folder=run.folder, summary=run.summary, findings=(low,), config=""),
    ).rows[0]
    assert "below chance: the wrong way round?" in [cell.text for cell in texts]


def test_unfinished_run_says_what_is_still_running(tmp_path: Path):
    page = write_report(write_run(tmp_path / "run", finished=1)).internal.read_text()
    assert "Still running: 1 of 6 releases have leakage figures so far." in page
    assert "n/a (still running)" in page
    assert "Under way: Builds (16 of 96)." in page


def test_run_without_findings_file_gives_both_pages(tmp_path: Path):
    folder = write_run(tmp_path / "run", finished=0)
    assert not (folder / "findings.json").exists()
    paths = write_report(folder)
    assert "0 of 6 releases" in paths.internal.read_text()
    assert "has both a leakage and a utility figure yet" in paths.public.read_text()


def test_report_is_written_again_as_the_run_goes_on(tmp_path: Path):
    folder = write_run(tmp_path / "run", finished=1)
    before = write_report(folder).public.read_text()
    after = write_report(write_run(folder)).public.read_text()
    assert "Still running" in before
    assert "Still running" not in after


def test_null_control_has_a_banner(tmp_path: Path):
    paths = write_report(write_run(tmp_path / "run", finished=1, null_control=True))
    assert catalogue("en")["banner_null"] in paths.public.read_text()


def test_pages_are_small_and_ask_for_nothing_outside(pages: ReportPaths):
    for path in (pages.internal, pages.public):
        page = path.read_text()
        assert len(page) < 500_000
        assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)
        assert "url(http" not in page


def test_release_known_only_from_findings_is_reported(tmp_path: Path):
    folder = write_run(tmp_path / "run")
    run = load_run(folder)
    data = run.summary.model_dump(by_alias=True) | {"releases": ()}
    summary = RunSummary.model_validate(data)
    (folder / "run.json").write_text(summary.model_dump_json(by_alias=True))
    assert list(load_run(folder).releases) == [plan.name for plan in PLANS]
    write_report(folder)


def test_folder_without_a_run_is_a_clear_error(tmp_path: Path):
    with pytest.raises(AuditError, match=r"no run to report on.*sudare compare"):
        write_report(tmp_path / "here" / "nothing")


def test_a_folder_beside_runs_is_told_which_there_are(tmp_path: Path):
    write_run(tmp_path / "runs" / "mine", finished=1)
    for wrong in (tmp_path / "runs", tmp_path / "runs" / "min"):
        with pytest.raises(AuditError, match=r"There are: .*runs/mine\."):
            write_report(wrong)


def test_broken_and_foreign_files_are_clear_errors(tmp_path: Path):
    folder = write_run(tmp_path / "run", finished=1)
    (folder / "findings.json").write_text('{"schema": "sudare.findings/1", "findings": [{}]}')
    with pytest.raises(AuditError, match=r"does not fit its schema.*findings\.json"):
        load_run(folder)
    (folder / "findings.json").write_text('{"schema": "sudare.findings/9", "findings": []}')
    with pytest.raises(AuditError, match=r"sudare\.findings/9"):
        load_run(folder)


@pytest.mark.parametrize("name", ["../outside.png", "/etc/hostname", "internal/none.png"])
def test_pictures_outside_the_run_folder_are_not_read(tmp_path: Path, name: str):
    folder = write_run(tmp_path / "run", finished=1)
    picture = (folder / "internal" / "plain-0.png").read_bytes()
    (tmp_path / "outside.png").write_bytes(picture)
    run = load_run(folder)
    image = run.summary.exposed[0].model_copy(update={"picture": name})
    summary = run.summary.model_copy(update={"exposed": (image,)})
    shown = galleries(type(run)(folder=folder, summary=summary, findings=(), config=""))
    assert [picture.source for picture in shown[0].pictures] == [""]


def test_a_finding_of_an_unlisted_threat_model_still_has_words():
    found = Finding(id="x", release="r", route="q", threat_model=ThreatModel.NONE, value=1.0)
    assert severity(found)[0] == 5


def test_no_image_is_called_exposed_where_the_attack_finds_nothing(tmp_path: Path):
    """Some image is always first in a ranking; by a coin flip it is an accident."""
    plans = [replace(PLANS[0], auc=0.5), PLANS[1]]
    folder = write_run(tmp_path / "run", plans=plans)
    none, some = galleries(load_run(folder))
    assert (len(none.pictures), len(some.pictures)) == (0, 8)
    page = write_report(folder).internal.read_text()
    assert "The attack finds nothing on Plain classifier" in page
    assert "The attack finds nothing on Label smoothing" not in page


def test_guarantees_stand_below_the_table_in_full_and_in_it_as_an_epsilon(run_folder: Path):
    run = load_run(run_folder)
    assert guarantees(run)[0] == (
        "DP-SGD, epsilon 8",
        "(8, 1e-4)-differentially private per image",
    )
    row = next(r for r in releases_table(run).rows if r[0].text == "DP-SGD, epsilon 8")
    assert row[4].text == "epsilon 8 (claimed)"


def test_orders_that_do_not_hold_are_seen_without_unfolding(run_folder: Path):
    run = load_run(run_folder)
    whole, violated = orderings_table(run), orderings_table(run, violated=True)
    assert whole is not None
    broken = [row for row in whole.rows if "does not hold" in row[3].text.lower()]
    assert len(violated.rows if violated else []) == len(broken)


def test_a_page_in_another_language_stands_beside_the_english_one(tmp_path: Path):
    folder = write_run(tmp_path / "run", plans=PLANS[:2])
    english = write_report(folder).internal.read_text()
    paths = write_report(folder, languages=("ja",))
    assert (paths.internal.name, paths.public.name) == ("report-ja.html", "report-public-ja.html")
    page = paths.internal.read_text()
    assert '<html lang="ja">' in page
    assert "何を共有できるか" in page
    assert "各クラスの確信度" in page
    assert say("h_tradeoff") == catalogue("en")["h_tradeoff"]
    assert (folder / "report.html").read_text() == english
    with pytest.raises(SudareError, match="no report in 'xx'"):
        write_report(folder, languages=("xx",))


def test_every_look_that_a_block_may_have_is_in_the_style_sheet():
    """A class that nobody styles is a contact sheet of 100 pixels."""
    style = (SOURCES / "templates" / "style.css").read_text()
    for block, field, usual in ((Pictures, "size", "small"), (Paragraph, "style", "")):
        for look in get_args(get_type_hints(block)[field]):
            assert look == usual or f".{look} " in style, (block.__name__, look)
    template = (SOURCES / "templates" / "blocks.html.j2").read_text()
    shapes = {block.shape for block in Block.__subclasses__()}
    assert shapes == set(re.findall(r'block\.shape == "(\w+)"', template))
