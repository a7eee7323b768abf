"""Who may read what Sudare writes: the owner alone, but for what is declared public."""

import os
import shutil

import pytest

from sudare.core.errors import CacheError
from sudare.core.files import is_sealed
from sudare.core.progress import Silent
from sudare.fleets.cache import Cache
from sudare.report.page import write_report
from tests.audits.conftest import Heard, run_smoke
from tests.fleets.jobs import Slow

PUBLIC = ("report-public.html", "report-public-ja.html")


def open_to_others(folder):
    """Paths below a folder that others may read, but for what is public."""
    found = []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if inside.parts[0] in ("releases", "pictures") or str(inside) in PUBLIC:
            continue
        if path.stat().st_mode & 0o077:
            found.append(str(inside))
    return found


def test_what_a_run_writes_is_for_its_owner_alone(smoke):
    """Pictures of the most exposed images lay in a folder that everybody could list."""
    run, cache, _ = smoke
    write_report(run, languages=("en", "ja"))
    assert run.stat().st_mode & 0o077 == 0
    assert cache.stat().st_mode & 0o077 == 0
    assert (run / "internal").is_dir()
    assert (run / "evidence").is_dir()
    assert open_to_others(run) == []
    assert (run / "report-public.html").stat().st_mode & 0o777 == 0o644


def test_the_public_page_names_no_second_no_machine_and_no_running_time(smoke):
    run, _, result = smoke
    write_report(run, languages=("en", "ja"))
    public = (run / "report-public.html").read_text()
    internal = (run / "report.html").read_text()
    summary = result.summary
    for text in (summary.started, summary.updated, *summary.machine.values()):
        if len(text) > 3:
            assert text not in public
            assert text in internal
    # What a third party holds a run to stands on both.
    assert summary.membership_commitment in public
    assert summary.membership_commitment in internal
    assert summary.started[:10] in public


def test_the_commitment_is_said_before_the_first_build(tmp_path):
    heard = Heard()
    result = run_smoke(
        tmp_path / "run", tmp_path / "cache", "data.pool=64", "data.test=40", progress=heard
    )
    said = [text for text in heard.told if result.summary.membership_commitment in text]
    assert len(said) == 1


def test_a_cache_that_others_could_open_is_closed_and_one_of_others_refused(tmp_path, monkeypatch):
    root = tmp_path / "cache"
    root.mkdir(mode=0o755)
    Cache(root)
    assert root.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: root.stat().st_uid + 1)
    with pytest.raises(CacheError, match="belongs to another user"):
        Cache(root)


def test_an_entry_under_another_s_key_is_not_what_it_was_sealed_as(tmp_path):
    """Two entries exchanged with their seals gave other findings, and no word."""
    from sudare.fleets.jobs import execute

    cache = Cache(tmp_path)
    one, two = Slow(name="a"), Slow(name="b")
    for each in (one, two):
        execute(each, cache, Silent())
        assert is_sealed(cache.path(each.key))
    beside = tmp_path / "beside"
    shutil.move(cache.path(one.key), beside)
    shutil.move(cache.path(two.key), cache.path(one.key))
    shutil.move(beside, cache.path(two.key))
    fresh, heard = Cache(tmp_path), Heard()
    assert not fresh.sound(one.key, heard)
    assert not fresh.sound(two.key, heard)
    assert len(heard.told) == 2
