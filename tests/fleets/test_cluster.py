import os
import signal
import threading
import time
from pathlib import Path

import pytest

from sudare.audits.compare import compare
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.core.errors import CacheError, ConfigError, DataError
from sudare.core.progress import Silent
from sudare.fleets.cache import Cache
from sudare.fleets.cluster import RayExecutor, run_chain
from sudare.fleets.executors import make_executor
from sudare.fleets.local import LocalExecutor

from .test_local import contents, slow_chains, task


@pytest.fixture(scope="module")
def cluster():
    """One cluster of two workers for every test here: starting one takes seconds."""
    import ray

    root = Path(__file__).parents[2]
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        runtime_env={"env_vars": {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root}:{root}/src"}},
    )
    yield
    ray.shutdown()


def builders():
    """Process ids of workers that run a chain now; Ray puts the function in their title."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"ray::run_chain"):
                found.append(int(folder.name))
    return found


def test_a_cluster_fills_every_entry_and_a_second_run_costs_nothing(cluster, tmp_path):
    here, there = Cache(tmp_path / "here"), Cache(tmp_path / "there")
    with RayExecutor(there, workers=2) as executor:
        executor.run(slow_chains(there, 4), progress=Silent(), label="fleet")
        executor.run(slow_chains(there, 4), progress=Silent(), label="fleet")
    with LocalExecutor(here, workers=2) as executor:
        executor.run(slow_chains(here, 4), progress=Silent(), label="fleet")
    assert contents(here) == contents(there)


def test_what_a_task_raises_is_raised_here(cluster, tmp_path):
    with RayExecutor(Cache(tmp_path)) as executor:
        with pytest.raises(DataError, match=r"this cannot be \(a test\)"):
            executor.run([(task("refuse"),)], progress=Silent(), label="fleet")
        with pytest.raises(CacheError, match="ZeroDivisionError"):
            executor.run([(task("crash"),)], progress=Silent(), label="fleet")


def test_a_worker_that_dies_once_is_replaced_and_one_that_dies_twice_is_an_error(cluster, tmp_path):
    cache = Cache(tmp_path)
    once = task("die_once", mark=str(tmp_path / "mark"))
    with RayExecutor(cache) as executor:
        executor.run([(once,)], progress=Silent(), label="fleet")
        assert (cache.path(once.key) / "done.txt").read_text() == "yes"
        with pytest.raises(CacheError, match="died twice"):
            executor.run([(task("die"),)], progress=Silent(), label="fleet")


@pytest.mark.slow
def test_a_killed_worker_leaves_the_findings_as_they_are_on_one_machine(cluster, tmp_path):
    """Every worker that runs when the first entry is there dies; findings are the same."""
    values = apply_overrides(read_toml("smoke"), ["fleet.builds=4", "defaults.recipe.epochs=40"])
    values["routes"] = values["routes"][:1]
    results, killed = {}, []

    def kill(root):
        deadline = time.monotonic() + 60
        while not killed and time.monotonic() < deadline:
            drafts = list(root.rglob(".*")) if root.exists() else []
            if drafts:
                for pid in builders():
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            time.sleep(0.02)

    for name in ("local", "ray"):
        root = tmp_path / name
        config = load_config(apply_overrides(values, [f"fleet.executor={name}"]))
        killer = threading.Thread(target=kill, args=(root,))
        if name == "ray":
            killer.start()
        results[name] = compare(
            config, tmp_path / f"run-{name}", cache=Cache(root), progress=Silent(), command="x"
        )
        if name == "ray":
            killer.join()
    assert killed
    local, ray = (
        [f for f in results[name].findings.findings if not f.id.startswith("cost.")]
        for name in ("local", "ray")
    )
    assert local == ray
    assert len(local) > 50


def test_a_node_that_does_not_see_the_cache_is_an_error_before_work_starts(tmp_path):
    failed = run_chain(str(tmp_path), str(tmp_path / "nothing"), [{"key": "never"}])
    assert failed["kind"] == "CacheError"
    assert "does not see the cache" in failed["what"]


def test_executors_are_made_by_name(tmp_path):
    assert isinstance(make_executor("local", Cache(tmp_path)), LocalExecutor)
    assert make_executor("local", Cache(tmp_path), workers=4, device="cuda").workers == 4
    assert make_executor("local", Cache(tmp_path), device="cuda").workers == 1
    assert make_executor("ray", Cache(tmp_path), device="cuda").gpus == 1


def test_without_ray_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'sudare\[ray\]'"):
        make_executor("ray", Cache(tmp_path))


@pytest.mark.parametrize(("mode", "version"), [("disabled", None), ("token", "2.51.0")])
def test_a_cluster_that_anybody_may_join_is_refused(monkeypatch, tmp_path, mode, version):
    import ray

    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    if version:
        monkeypatch.setattr(ray, "__version__", version)
    with pytest.raises(ConfigError, match=r"anybody"):
        RayExecutor(Cache(tmp_path))


def test_a_cluster_asks_for_its_token(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    RayExecutor(Cache(tmp_path))
    assert os.environ["RAY_AUTH_MODE"] == "token"
