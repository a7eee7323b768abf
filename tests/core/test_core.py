import json
import os
import subprocess
import sys
from importlib import resources

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sudare.core.errors import AuditError, ConfigError, DataError
from sudare.core.estimates import Estimate
from sudare.core.files import _owner, atomic_directory, atomic_write, sweep_drafts
from sudare.core.findings import Finding, Findings, Status
from sudare.core.hashing import canonical_json, hash_arrays, hash_json
from sudare.core.progress import CallbackProgress, LineProgress, RichProgress
from sudare.core.registry import Registry
from sudare.core.seeds import generator, integer_seed, stable_hash
from sudare.core.threats import threats_known
from sudare.core.wording import catalogue


def finding(**values):
    base = {"id": "x.y", "release": "r", "route": "plain", "threat_model": "none"}
    return Finding.model_validate({**base, **values})


def test_an_error_says_what_where_and_what_to_do_in_that_order():
    assert str(DataError("it is broken", where="a.png", fix="Mend it.")) == (
        "it is broken (a.png). Mend it."
    )


def test_seeds_depend_on_names_and_not_on_order_of_calls():
    first = generator(0, "a").normal()
    generator(0, "b").normal()
    assert generator(0, "a").normal() == first
    assert integer_seed(0, "a", 1) != integer_seed(0, "a", 2)
    assert 0 <= integer_seed(3, "z") < 2**63


def test_seed_parts_do_not_run_into_each_other():
    assert stable_hash("ab", "c") != stable_hash("a", "bc")
    assert stable_hash(1) != stable_hash("1")


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_canonical_json_does_not_depend_on_the_order_of_keys(values):
    assert hash_json(values) == hash_json(dict(reversed(list(values.items()))))


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"x": float("nan")})


def test_equal_bytes_of_another_shape_or_dtype_hash_differently():
    zeros = np.zeros(8, dtype=np.uint8)
    hashes = {hash_arrays(z) for z in (zeros, zeros.reshape(2, 4), zeros.view(np.int64))}
    assert len(hashes) == 3


def test_a_finding_has_a_value_exactly_if_it_was_measured():
    finding(value=0.5, low=0.4, high=0.6)
    for wrong in ({"value": None}, {"value": 0.5, "status": "failed", "reason": "x"}):
        with pytest.raises(ValueError, match="goes with status"):
            finding(**wrong)
    with pytest.raises(ValueError, match="needs a reason"):
        finding(status="unresolvable")
    with pytest.raises(ValueError, match="finite"):
        finding(value=float("nan"))


def test_an_unresolvable_estimate_becomes_an_unresolvable_finding():
    blank = finding(status="failed", reason="not yet")
    estimate = Estimate.unresolvable(n=3, method="m", reason="needs more")
    found = blank.with_estimate(estimate)
    assert (found.status, found.reason, found.value) == (Status.UNRESOLVABLE, "needs more", None)


def test_findings_json_fits_the_schema_that_is_shipped():
    shipped = json.loads((resources.files("sudare.schemas") / "findings.schema.json").read_text())
    assert shipped == Findings.json_schema(), "run: sudare config schema findings"
    file = Findings(
        findings=(finding(value=0.5, low=0.4, high=0.6), finding(status="failed", reason="x"))
    )
    jsonschema.validate(json.loads(file.to_json()), shipped)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema": "x", "findings": [{"id": "x"}]}, shipped)


def test_a_finding_that_is_not_there_is_an_error():
    with pytest.raises(AuditError, match="no finding"):
        Findings().get("membership.lira.auc", "plain")


def test_every_threat_model_says_what_it_sees():
    for threat in threats_known():
        assert catalogue("en")[f"threat.{threat.id}.sees"].endswith(".")
        assert catalogue("en")[f"threat.{threat.id}.phrase"]


def test_a_registry_names_what_it_has():
    table = Registry("thing", {"path": "pathlib:Path"})
    assert table.load("path").__name__ == "Path"
    with pytest.raises(ConfigError, match=r"no thing called 'x'\. Choose one of: path"):
        table["x"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_write(path, "old")

    def refuse(*_):
        raise OSError("disk is full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk is full"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def fail_halfway():
        with atomic_directory(tmp_path / "entry") as draft:
            (draft / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert list(tmp_path.iterdir()) == []
    with atomic_directory(tmp_path / "entry") as draft:
        (draft / "whole").write_text("x")
        assert not (tmp_path / "entry").exists()
    assert (tmp_path / "entry" / "whole").exists()


def test_a_second_writer_of_the_same_entry_gives_way(tmp_path):
    with atomic_directory(tmp_path / "entry") as late:
        with atomic_directory(tmp_path / "entry") as early:
            (early / "value").write_text("first")
        (late / "value").write_text("second")
    assert (tmp_path / "entry" / "value").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["entry"]


def test_progress_reports_fractions_and_lines(capsys):
    seen = []
    with CallbackProgress(seen.append, every_s=0).stage("x", 4) as task:
        for _ in range(4):
            task.advance()
    assert seen == [0.25, 0.5, 0.75, 1.0]
    with LineProgress(every_s=0).stage("building", 2) as task:
        task.advance()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "building ..."
    assert lines[1].startswith("building: 50% after 0m00s, about 0m00s left")
    assert lines[-1] == "building: done in 0m00s"


def test_drafts_of_dead_processes_are_swept_and_those_of_living_ones_kept(tmp_path):
    with atomic_directory(tmp_path / "entry") as mine:
        (mine / "half").touch()
        host, pid, start = mine.name.removeprefix(".entry.").split(".")[0].split("-")
        assert int(pid) == os.getpid()
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        dead = tmp_path / f".entry.{host}-{gone.pid}-7.abc"
        elsewhere = tmp_path / f".entry.another_host-{gone.pid}-7.abc"
        other = tmp_path / f".other.{host}-{gone.pid}-7.abc"
        # The number of a process that is gone may be given to another: to this very one.
        earlier = tmp_path / f".entry.{host}-{pid}-{int(start) - 1}.abc"
        living = tmp_path / f".entry.{_owner(os.getppid())}.abc"
        for draft in (dead, elsewhere, other, earlier, living):
            (draft / "deep").mkdir(parents=True)
        sweep_drafts(tmp_path, name="entry")
        assert mine.exists()
        assert elsewhere.exists()
        assert other.exists()
        assert living.exists()
        assert not dead.exists()
        assert not earlier.exists()
        sweep_drafts(tmp_path)
        assert not other.exists()
    assert (tmp_path / "entry" / "half").exists()
    assert (tmp_path / "entry").stat().st_mode & 0o777 == 0o700


def test_a_name_in_brackets_is_shown_as_it_is(capsys):
    bars = RichProgress()
    with bars.stage("class [/red]", 1) as task:
        task.note("[/]")
        task.advance()
    bars.say("title [red] and [/]")
    shown = capsys.readouterr().err
    assert "class [/red]" in shown
    assert "title [red] and [/]" in shown
