import json
import os
import signal
import subprocess
import sys
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

from .jobs import Crashing, Dying, DyingOnce, Refusing
from .test_local import contents, slow_chains


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
            executor.run([(Refusing(),)], progress=Silent(), label="fleet")
        with pytest.raises(CacheError, match="ZeroDivisionError"):
            executor.run([(Crashing(),)], progress=Silent(), label="fleet")


def test_a_worker_that_dies_once_is_replaced_and_one_that_dies_twice_is_an_error(cluster, tmp_path):
    cache = Cache(tmp_path)
    once = DyingOnce(mark=str(tmp_path / "mark"))
    with RayExecutor(cache) as executor:
        executor.run([(once,)], progress=Silent(), label="fleet")
        assert (cache.path(once.key) / "done.txt").read_text() == "yes"
        with pytest.raises(CacheError, match="died twice"):
            executor.run([(Dying(),)], progress=Silent(), label="fleet")


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


HOME_ALONE = """
import json, sys
from pathlib import Path
from sudare.core.progress import Silent
from sudare.fleets.cache import Cache
from sudare.fleets.cluster import RayExecutor
from tests.fleets.test_local import slow_chains

cache = Cache(Path(sys.argv[1]))
with RayExecutor(cache) as executor:
    executor.run(slow_chains(cache, 2), progress=Silent(), label="fleet")
    import ray
    from ray._common.usage.usage_lib import usage_stats_enabled
    session = ray._private.worker._global_node.get_session_dir_path()
    print(json.dumps({"posts": usage_stats_enabled(), "session": session}), flush=True)
    sys.stdin.read()
"""


def processes_of(word):
    """Ids of processes whose command or environment holds a word."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            try:
                about = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            except OSError:
                continue
            if word.encode() in about:
                found.append(int(folder.name))
    return found


def sockets_of(pids):
    """Local address, port, remote address and state of every TCP socket of these processes."""
    inodes = set()
    for pid in pids:
        for handle in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = os.readlink(handle)
            except OSError:
                continue
            if target.startswith("socket:"):
                inodes.add(target[8:-1])
    found = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes:
                (here, port), (there, _) = (fields[at].split(":") for at in (1, 2))
                found.append((here, int(port, 16), there, fields[3]))
    return found


def test_a_cluster_of_our_own_posts_nothing_and_shows_no_dashboard(tmp_path):
    """Held by what its processes are told and by whom they talk to, whatever sets it."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", HOME_ALONE, str(tmp_path / "cache")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={k: v for k, v in os.environ.items() if not k.startswith("RAY_")},
        text=True,
    ) as process:
        told = json.loads(process.stdout.readline())
        pids = processes_of(told["session"])
        sockets = sockets_of(pids)
        heads = [
            Path(f"/proc/{pid}/environ").read_bytes()
            for pid in pids
            if b"dashboard" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        process.stdin.close()
        process.wait(60)
    assert told["posts"] is False
    assert pids
    assert sockets
    # A head without a dashboard is still there; it is told not to post.
    assert all(b"RAY_USAGE_STATS_ENABLED=0" in environment for environment in heads)
    listening = {port for _, port, _, state in sockets if state == "0A"}
    assert 8265 not in listening
    # Whoever is talked to is this machine: an address that one of these sockets has itself.
    own = {here for here, _, _, _ in sockets}
    elsewhere = {there for _, _, there, state in sockets if state != "0A"} - own
    assert elsewhere <= {"0100007F", "00000000"}, elsewhere
