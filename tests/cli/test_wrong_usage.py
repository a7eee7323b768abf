"""Every mistake of docs/wrong-usage.md ends in its sentence and its exit status, as printed."""

import os
from pathlib import Path

import pytest

from tests.cli.wrong_usage import CASES, furnish, outcome, sentence, table

PAGE = Path(__file__).parents[2] / "docs" / "wrong-usage.md"
ALL = [(heading, *case) for heading, rows in CASES.items() for case in rows]
NOT_EVALUABLE = "sudare audit parent/release"


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """Each command's outcome; run once, so that the page and the cases see the same."""
    base = tmp_path_factory.mktemp("wrong")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SUDARE_CACHE", str(base / "cache"))
        patched.setenv("COLUMNS", "100")
        work = base / "work"
        work.mkdir()
        furnish(work)
        before = {path for path in work.rglob("*") if path.is_file()}
        found = {command: outcome(command, work) for _, command, _ in ALL}
        left = {path for path in work.rglob("*") if path.is_file()} - before
    return found, sorted(str(path.relative_to(work)) for path in left)


@pytest.mark.parametrize(("heading", "command", "said"), ALL, ids=[case[1] for case in ALL])
def test_a_mistake_ends_in_one_clear_sentence_and_no_traceback(tried, heading, command, said):
    status, printed, complained = tried[0][command]
    # 1 says that a gate failed, which a pipeline acts on.
    assert status == (3 if command == NOT_EVALUABLE else 2), printed + complained
    assert said in sentence(complained or printed)
    assert "bug in Sudare" not in complained
    assert "Traceback" not in printed + complained
    assert "\x1b]" not in printed + complained


def test_a_mistake_is_seen_before_anything_is_written(tried):
    assert [path for path in tried[1] if not path.startswith("a-run/")] == []


def test_the_page_of_wrong_usage_is_what_the_commands_say(tried):
    assert len(ALL) >= 60
    rows = {
        heading: [
            (command, tried[0][command][0], sentence(tried[0][command][2] or tried[0][command][1]))
            for command, _ in cases
        ]
        for heading, cases in CASES.items()
    }
    assert table(rows) == PAGE.read_text(), "python -m tests.cli.wrong_usage writes it anew"


def test_a_bug_exits_2_and_can_be_looked_into(tmp_path, monkeypatch):
    def broken(*args, **settings):
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr("sudare.data.sources.load_source", broken)
    status, _, complained = outcome("sudare data describe digits", tmp_path)
    assert (status, "bug in Sudare: ZeroDivisionError: by nought" in complained) == (2, True)
    monkeypatch.setenv("SUDARE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        outcome("sudare data describe digits", tmp_path)


def test_a_full_disk_says_where_and_that_the_run_goes_on(tmp_path, monkeypatch):
    def full(*args, **settings):
        raise OSError(28, os.strerror(28), "cache/builds")

    monkeypatch.setattr("sudare.data.sources.load_source", full)
    status, _, complained = outcome("sudare data describe digits", tmp_path)
    assert status == 2
    assert "No space left on device (cache/builds). Make room there" in " ".join(complained.split())
