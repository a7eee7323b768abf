"""Side by side: our membership engine, LeakPro, Privacy Meter and ART on the same work.

    git clone https://github.com/aidotse/LeakPro && git -C LeakPro checkout c47752f
    git clone https://github.com/privacytrustlab/ml_privacy_meter && \
        git -C ml_privacy_meter checkout e384af8
    python -m venv peers && peers/bin/pip install -c constraints.txt -e . \
        adversarial-robustness-toolbox==1.20.1 dotmap pandas seaborn optuna pyyaml
    peers/bin/python -m benchmarks.membership.peers \
        --leakpro LeakPro --privacy-meter ml_privacy_meter

The same images (Fashion-MNIST), net (ConvNet-3 of width 16), epochs, batch, optimiser and number
of builds, each tool as published, each in a process of its own with two cores. ``--quick`` does
something small in some minutes and writes nothing. LeakPro and Privacy Meter import torchvision
and other packages at start; what is never called here is replaced by empty modules.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sudare.audits.environment import machine, versions

from .agree import agreement
from .common import Task

HERE = Path(__file__).parent
RESULTS = HERE.parent / "peers.json"
TOOLS = ("ours", "leakpro", "privacy_meter", "art")
STEPS = "steps"
ALIKE = 0.02
"""Held-out accuracies may differ by this much, or times are not comparable."""
QUICK = Task(pool=400, population=200, builds=8, epochs=2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leakpro", default="")
    parser.add_argument("--privacy-meter", default="")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=TOOLS, action="append")
    parser.add_argument("--child", choices=(*TOOLS, STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    task = QUICK if options.quick else Task()
    checkouts = {"leakpro": options.leakpro, "privacy_meter": options.privacy_meter}
    if options.child:
        tool = importlib.import_module(f"benchmarks.membership.peers.{options.child}")
        needed = checkouts if options.child == STEPS else {options.child} & checkouts.keys()
        extra = [str(Path(checkouts[name]).resolve()) for name in needed]
        tool.main(options.folder.resolve(), task, *extra)
        return
    runs: dict[str, list[dict[str, object]]] = {}
    found: dict[str, object] = {}
    # Tools take turns, so that a slow minute of the machine is not one tool's alone.
    for repeat in range(1 if options.quick else options.repeats):
        for name in options.only or TOOLS:
            with tempfile.TemporaryDirectory() as folder:
                run = one(name, Path(folder), sys.argv[1:])
                runs.setdefault(name, []).append(run)
                print(name, repeat, json.dumps(run), flush=True)
                if repeat == 0 and (Path(folder) / "signals.npz").exists():
                    found[name] = agreement(name, Path(folder) / "signals.npz")
                    print(name, json.dumps(found[name]), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        steps = {} if options.only else one(STEPS, Path(folder), sys.argv[1:])
        print(STEPS, json.dumps(steps), flush=True)
    tools = {name: median(values) for name, values in runs.items()}
    accuracies = [float(str(tool["accuracy"])) for tool in tools.values()]
    if not options.quick and max(accuracies) - min(accuracies) > ALIKE:
        raise SystemExit(f"accuracies {accuracies} are further apart than {ALIKE}")
    result = {
        "steps": steps,
        "alike": ALIKE,
        "tools": tools,
        "runs": runs,
        "agreement": found,
        "commits": {name: commit_of(path) for name, path in checkouts.items() if path},
        "command": "python -m benchmarks.membership.peers --leakpro DIR --privacy-meter DIR",
        "machine": machine(),
        "versions": {**versions(), "art": art_version()},
        "date": datetime.now(UTC).date().isoformat(),
    }
    if not options.quick and not options.only:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


def one(name: str, folder: Path, arguments: list[str]) -> dict[str, object]:
    """Run one tool in a process of its own."""
    root = HERE.parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    command = [sys.executable, "-m", "benchmarks.membership.peers", *arguments]
    log = folder / "log.txt"
    peak = 0.0
    with log.open("w") as file:
        running = subprocess.Popen(
            [*command, "--child", name, "--folder", str(folder)],
            cwd=root,
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        while running.poll() is None:
            peak = max(peak, memory_mb(running.pid))
            time.sleep(0.25)
    if running.returncode:
        raise SystemExit(f"{name} failed:\n{log.read_text()[-4000:]}")
    return {**json.loads((folder / "result.json").read_text()), "peak_mb": peak}


def memory_mb(session: int) -> float:
    """Memory of all processes of a session; pages that several share count once."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(folder.name)) == session:
                for line in (folder / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
    return total / 1024


def median(values: list[dict[str, object]]) -> dict[str, object]:
    """The median of every number, and what else the first run said."""
    numbers = {
        key: float(np.median([value[key] for value in values]))
        for key, first in values[0].items()
        if isinstance(first, float)
    }
    return {**values[0], **numbers, "runs": len(values)}


def commit_of(path: str) -> str:
    asked = ["git", "-C", path, "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def art_version() -> str:
    from importlib.metadata import version

    return version("adversarial-robustness-toolbox")


if __name__ == "__main__":
    main()
