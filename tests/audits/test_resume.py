"""A whole run, killed again and again, ends with the findings of an undisturbed one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sudare.audits.compare import compare
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.core.findings import Findings
from sudare.core.progress import Silent
from sudare.fleets.cache import Cache

ROOT = Path(__file__).parents[2]


def start(folder, cache, *options):
    run = [sys.executable, "-m", "sudare", "compare", "--preset", "smoke"]
    command = [*run, "--out", str(folder), *options]
    environment = {**os.environ, "SUDARE_CACHE": str(cache)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def figures(folder):
    """Everything but costs, which are measured anew by whoever builds."""
    found = Findings.model_validate_json((folder / "findings.json").read_text()).findings
    return [finding for finding in found if not finding.id.startswith("cost.")]


def drafts(cache):
    """Entries that were being written; their names start with a dot."""
    return [path for path in cache.glob("*/.*") if path.is_dir()]


@pytest.mark.slow
def test_killed_inside_a_write_a_run_ends_with_identical_findings(tmp_path):
    options = ("--routes", "plain", "--builds", "4")
    assert start(tmp_path / "whole", tmp_path / "other", *options).wait() == 0
    folder, cache = tmp_path / "killed", tmp_path / "cache"
    process = start(folder, cache, *options)
    deadline = time.monotonic() + 120
    while not drafts(cache) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert drafts(cache)
    assert start(folder, cache, *options).wait() == 0
    assert figures(folder) == figures(tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_ten_random_moments_a_run_ends_with_identical_findings(tmp_path):
    began = time.monotonic()
    assert start(tmp_path / "whole", tmp_path / "cache").wait() == 0
    duration = time.monotonic() - began
    rng = np.random.default_rng(0)
    folder = tmp_path / "killed"
    for kill in range(10):
        # A fresh cache for every second kill: otherwise late ones find nothing left to do.
        process = start(folder, tmp_path / f"cache{kill // 2}")
        time.sleep(rng.uniform(0, duration))
        process.send_signal(signal.SIGKILL)
        process.wait()
    for cache in range(5):
        assert start(folder, tmp_path / f"cache{cache}").wait() == 0
        assert figures(folder) == figures(tmp_path / "whole")


def damage(path):
    """Flip a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["arrays.npz", "tensors.safetensors", "record.npz", "costs.json"])
def test_a_damaged_entry_is_dropped_said_and_made_again(smoke, tmp_path, name):
    """A flipped sign in a cached signal changed 30 findings in silence, exit status 0."""
    _, _, before = smoke
    cache = tmp_path / "cache"
    shutil.copytree(smoke[1], cache)
    hit = sorted(cache.glob(f"??/*/**/{name}"))
    assert hit
    # All of them: the cache is shared with other tests, and which entries are this run's, and come
    # first, hangs on their keys, that is on every line of code.
    for path in hit:
        damage(path)
    told = []
    after = again(tmp_path / "run", cache, told)
    assert len([line for line in told if "damaged cache entry" in line]) >= 1
    assert figures_of(after) == figures_of(before)


def test_altered_pixels_of_the_pool_are_written_again(smoke, tmp_path):
    """Altered pool pixels changed 63 findings in silence."""
    _, _, before = smoke
    cache = tmp_path / "cache"
    (cache / "data").mkdir(parents=True)
    shutil.copytree(smoke[1] / "data", cache / "data", dirs_exist_ok=True)
    for path in sorted((cache / "data").glob("*/images*")):
        damage(path)
    assert figures_of(again(tmp_path / "run", cache, [])) == figures_of(before)


def test_a_truncated_entry_ends_in_no_traceback(smoke, tmp_path):
    cache = tmp_path / "cache"
    shutil.copytree(smoke[1], cache)
    path = sorted(cache.glob("??/*/**/arrays.npz"))[0]
    path.write_bytes(path.read_bytes()[:40])
    assert figures_of(again(tmp_path / "run", cache, [])) == figures_of(smoke[2])


def test_attacks_that_came_to_an_end_are_not_run_again(smoke, tmp_path):
    """The attack step of a route started again after each kill."""
    cache, told = tmp_path / "cache", []
    shutil.copytree(smoke[1], cache)
    assert figures_of(again(tmp_path / "run", cache, told)) == figures_of(smoke[2])
    assert not [line for line in told if line.startswith("attacks on")]
    other = load_config(apply_overrides(read_toml("smoke"), ["audit.draws=150"]))
    compare(other, tmp_path / "o", cache=Cache(cache), progress=Told(told), command="x")
    assert len([line for line in told if line.startswith("attacks on")]) == 3


class Told(Silent):
    """Keeps what is said, and which stages began."""

    def __init__(self, lines):
        self.lines = lines

    def stage(self, label, total):
        self.lines.append(label)
        return super().stage(label, total)

    def say(self, text):
        self.lines.append(text)


def again(folder, cache, told):
    return compare(
        load_config(read_toml("smoke")),
        folder,
        cache=Cache(cache),
        progress=Told(told),
        command="sudare compare -c smoke",
    )


def figures_of(result):
    return [f for f in result.findings.findings if not f.id.startswith("cost.")]


def every_route(path):
    """A configuration with one small route of every kind."""
    from sudare.audits.toml import to_toml
    from tests.routes.test_conformance import SETTINGS

    small = {
        "title": "Every route, killed",
        "data": {"source": "digits", "pool": 64, "population": 60, "public": 60, "test": 40},
        "fleet": {"builds": 4},
        "attacks": {"membership": ["rmia", "loss"], "primary": "rmia"},
        "audit": {"draws": 100, "exposed": 1},
        "recipients": {"net": {"name": "mlp", "width": 8}, "recipe": {"steps": 5}},
        "routes": [{"kind": kind, **settings} for kind, settings in SETTINGS.items()],
    }
    path.write_text(to_toml(load_config(small).model_dump(mode="json")))
    return ("--config", str(path))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_thirty_random_moments_with_every_route_findings_are_identical(tmp_path):
    options = every_route(tmp_path / "all.toml")
    command = [sys.executable, "-m", "sudare", "compare", *options]

    def begin(folder, cache):
        return subprocess.Popen(
            [*command, "--out", str(folder)],
            env={**os.environ, "SUDARE_CACHE": str(tmp_path / cache)},
            stdout=subprocess.DEVNULL,
        )

    began = time.monotonic()
    assert begin(tmp_path / "whole", "cache-whole").wait() == 0
    duration = time.monotonic() - began
    rng = np.random.default_rng(0)
    folder = tmp_path / "killed"
    for kill in range(30):
        # Five kills share a cache, so that late ones fall into late routes.
        process = begin(folder, f"cache{kill // 5}")
        time.sleep(rng.uniform(0, duration))
        process.send_signal(signal.SIGKILL)
        process.wait()
    for cache in range(6):
        assert begin(folder, f"cache{cache}").wait() == 0
        assert figures(folder) == figures(tmp_path / "whole")
