"""A whole run, killed again and again, ends with the findings of an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sudare.core.findings import Findings

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
