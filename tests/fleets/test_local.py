import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from sudare.core.errors import CacheError, DataError
from sudare.core.files import _host
from sudare.core.progress import Silent
from sudare.fleets import code_hash
from sudare.fleets.cache import Cache, entry_key
from sudare.fleets.code_hash import closure
from sudare.fleets.jobs import execute
from sudare.fleets.local import LocalExecutor

from .jobs import Crashing, Dying, DyingOnce, Reading, Refusing, Slow

ROOT = Path(__file__).parents[2]


def slow_chains(cache, count):
    slow = [Slow(name=f"n{index}") for index in range(count)]
    return [(one, Reading(of=one)) for one in slow]


def contents(cache):
    files = sorted(path for path in cache.root.rglob("*") if path.is_file())
    return {path.relative_to(cache.root).parts[-2:]: path.read_text() for path in files}


def processes_with(mark):
    """Processes whose environment holds the mark, the caller's own excepted."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def wait_until_gone(mark):
    for _ in range(100):
        if not processes_with(mark):
            return True
        time.sleep(0.05)
    return False


def start_fleet(cache_folder, mark, chains=6):
    environment = {
        **os.environ,
        "SUDARE_TEST_MARK": mark,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
    }
    command = [sys.executable, "-m", "tests.fleets.run_fleet", str(cache_folder), str(chains)]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def test_a_fleet_fills_every_entry_and_a_second_run_costs_nothing(tmp_path):
    cache = Cache(tmp_path)
    chains = slow_chains(cache, 4)
    with LocalExecutor(cache, workers=2) as executor:
        executor.run(chains, progress=Silent(), label="fleet")
    assert all(cache.has(one.key) for chain in chains for one in chain)
    with LocalExecutor(cache, workers=2) as executor:
        executor.run(chains, progress=Silent(), label="fleet")
        assert executor._pool == []


def test_killed_at_ten_random_moments_a_fleet_resumes_and_ends_with_the_same_entries(tmp_path):
    whole = Cache(tmp_path / "whole")
    start = time.monotonic()
    assert start_fleet(whole.root, uuid.uuid4().hex).wait() == 0
    duration = time.monotonic() - start
    rng = np.random.default_rng(0)
    inside_a_write = 0
    for kill in range(10):
        # A fresh cache every other time, so that late kills still find work to interrupt.
        cache, mark = Cache(tmp_path / f"killed{kill // 2}"), uuid.uuid4().hex
        process = start_fleet(cache.root, mark)
        if kill % 2:
            time.sleep(rng.uniform(0, duration))
        else:
            # While something is written, however fast the machine is by now.
            while process.poll() is None and not list(cache.root.glob("*/.*")):
                time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert wait_until_gone(mark), "a worker outlived its parent"
        drafts = list(cache.root.glob("*/.*"))
        inside_a_write += bool(drafts)
        for entry in cache.root.glob("*/[0-9a-f]*"):
            text = (entry / "value.txt").read_text() if (entry / "value.txt").exists() else ""
            assert not text or len(text.splitlines()) == 12, "a half entry is visible"
    assert inside_a_write >= 1
    for killed in range(5):
        cache = Cache(tmp_path / f"killed{killed}")
        assert start_fleet(cache.root, uuid.uuid4().hex).wait() == 0
        entries = {key: text for key, text in contents(cache).items() if key[0][0] != "."}
        assert entries == contents(whole)


def test_an_interrupt_leaves_no_orphan(tmp_path):
    mark = uuid.uuid4().hex
    process = start_fleet(tmp_path, mark, chains=40)
    while len(processes_with(mark)) < 3:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait() != 0
    assert wait_until_gone(mark)


def test_an_error_in_a_worker_arrives_as_itself(tmp_path):
    with (
        LocalExecutor(Cache(tmp_path), workers=1) as executor,
        pytest.raises(DataError, match=r"this cannot be \(a test\)\. Give up\."),
    ):
        executor.run([(Refusing(),)], progress=Silent(), label="fleet")


def test_an_unexpected_error_shows_its_traceback(tmp_path):
    with (
        LocalExecutor(Cache(tmp_path), workers=1) as executor,
        pytest.raises(CacheError, match="ZeroDivisionError"),
    ):
        executor.run([(Crashing(),)], progress=Silent(), label="fleet")


def test_a_worker_that_dies_once_is_replaced_and_one_that_dies_twice_is_an_error(tmp_path):
    cache = Cache(tmp_path / "cache")
    once = DyingOnce(mark=str(tmp_path / "mark"))
    with LocalExecutor(cache, workers=1) as executor:
        executor.run([(once,)], progress=Silent(), label="fleet")
    assert cache.has(once.key)
    with (
        LocalExecutor(cache, workers=1) as executor,
        pytest.raises(CacheError, match="died twice"),
    ):
        executor.run([(Dying(),)], progress=Silent(), label="fleet")


def test_a_failed_task_leaves_no_entry(tmp_path):
    cache = Cache(tmp_path)
    with pytest.raises(DataError):
        execute(Refusing(), cache, Silent())
    assert not cache.has(Refusing().key)
    assert not list(tmp_path.glob("*/*"))


def test_the_key_changes_with_every_value_and_with_the_sources(tmp_path, monkeypatch):
    values = {"route": {"kind": "plain"}, "seed": 1}
    base = entry_key(values, roots=["sudare.core.seeds"])
    assert entry_key({"seed": 1, "route": {"kind": "plain"}}, roots=["sudare.core.seeds"]) == base
    assert entry_key({**values, "seed": 2}, roots=["sudare.core.seeds"]) != base
    assert entry_key(values, roots=["sudare.core.seeds", "sudare.data.plan"]) != base


def reached(*roots):
    modules, foreign = closure(roots)
    return set(modules), foreign


def test_a_key_holds_the_code_that_is_reached_and_no_other():
    """A comment in an attack once retrained every recipient."""
    modules, foreign = reached("sudare.audits.checks.recipient_models")
    assert {"sudare.training.loop", "sudare.recipients.train", "sudare.core.seeds"} <= modules
    assert not [name for name in modules if name.startswith(("sudare.attacks", "sudare.report"))]
    assert {"torch", "numpy", "opacus"} <= foreign
    builds, _ = reached("sudare.fleets.builds", "sudare.routes.classifiers.build")
    assert not [
        name for name in builds if name.startswith(("sudare.routes.subset", "sudare.audits"))
    ]


def test_imports_for_type_checkers_do_not_count_and_those_in_functions_do(tmp_path, monkeypatch):
    (tmp_path / "reach_me.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import sudare.report.page\n"
        "def late():\n    from sudare.metrics import roc\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    modules, _ = reached("reach_me")
    assert "sudare.metrics.roc" in modules
    assert "sudare.report.page" not in modules


def test_another_version_of_a_package_is_another_key(monkeypatch):
    base = entry_key({}, roots=["sudare.training.dpsgd"])
    known = code_hash._version
    monkeypatch.setattr(
        code_hash, "_version", lambda name: "9.9" if name == "opacus" else known(name)
    )
    code_hash.fingerprint.cache_clear()
    try:
        assert entry_key({}, roots=["sudare.training.dpsgd"]) != base
    finally:
        code_hash.fingerprint.cache_clear()


def test_a_cache_that_cannot_be_made_says_what_to_do(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CacheError, match="cannot be made"):
        Cache(blocked / "cache")


def test_a_worker_that_died_while_idle_is_replaced(tmp_path):
    cache = Cache(tmp_path)
    chains = slow_chains(cache, 3)
    with LocalExecutor(cache, workers=1) as executor:
        executor.run(chains[:1], progress=Silent(), label="fleet")
        (worker,) = executor._pool
        worker.process.kill()
        worker.process.wait()
        executor.run(chains, progress=Silent(), label="fleet")
        assert executor._pool[0].process.pid != worker.process.pid
    assert all(cache.has(one.key) for chain in chains for one in chain)


def test_a_cache_sweeps_what_a_killed_run_left(tmp_path):
    cache = Cache(tmp_path)
    write = Slow(name="x")
    draft = cache.path(write.key).parent / f".{write.key}.{_host()}-999999-7.abc"
    draft.mkdir(parents=True)
    Cache(tmp_path)
    assert not draft.exists()


def test_a_run_after_one_that_failed_takes_nothing_of_it_for_its_own(tmp_path):
    """Workers that were still at the failed run answered for chains of the next one."""
    cache = Cache(tmp_path)
    with LocalExecutor(cache, workers=2) as executor:
        for round_ in range(3):
            slow = (Slow(name=f"given up {round_}"),)
            bad = (Refusing(turn=str(round_)),)
            with pytest.raises(DataError, match="cannot be"):
                executor.run([slow, bad], progress=Silent(), label="fails")
            chains = [(Slow(name=f"{round_} {k}"),) for k in range(3)]
            executor.run(chains, progress=Silent(), label="goes on")
            assert all(cache.complete((t.key for t in chain), Silent()) for chain in chains)


def test_two_failures_at_once_are_one_failure(tmp_path):
    cache = Cache(tmp_path)
    with LocalExecutor(cache, workers=2) as executor:
        with pytest.raises(DataError, match="cannot be"):
            executor.run(
                [(Refusing(turn=side),) for side in "lr"], progress=Silent(), label="fails"
            )
        good = [(Slow(name=name),) for name in "ab"]
        executor.run(good, progress=Silent(), label="goes on")
        assert all(cache.complete((t.key for t in chain), Silent()) for chain in good)


def test_what_a_library_prints_as_a_worker_starts_is_passed_on_and_ends_nothing(
    tmp_path, monkeypatch, capfd
):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(
        "print('licence expires soon', 3)\nprint(7)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    cache = Cache(tmp_path / "cache")
    chains = slow_chains(cache, 2)
    with LocalExecutor(cache, workers=1) as executor:
        executor.run(chains, progress=Silent(), label="work")
    assert all(cache.complete((t.key for t in chain), Silent()) for chain in chains)
    assert "a worker printed: licence expires soon 3" in capfd.readouterr().err
