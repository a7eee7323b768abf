"""How long the attack step takes on a large table, and how much memory.

    python benchmarks/membership/attack_step.py          # 256 builds x 50,000 images x 2 queries
    python benchmarks/membership/attack_step.py --quick  # a small table; writes nothing

Scores lie in a file that is mapped into memory. Every build is a target once, with all others but
its complement as shadows. Each test runs in a process of its own, whose peak memory is measured;
what the interpreter and libraries need before the test starts is given beside it. Two yardsticks:
reading the file once (no test can be faster), and the same LiRA as a loop over targets, each done
with vectorised array operations (what most implementations do), timed on eight targets.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sudare.audits.environment import made_by

HERE = Path(__file__).parent
RESULTS = HERE / "attack_step.json"
TESTS = ("lira", "lira_offline", "lira fixed", "rmia", "rmia_offline", "bavaria", "loss")
SETTINGS = {"lira fixed": {"variance": "fixed"}}
LOOPED = 8


def make_table(folder: Path, builds: int, images: int, population: int) -> None:
    """Write signals, membership and labels."""
    from sudare.data.plan import draw_plan

    units, rng = np.arange(images), np.random.default_rng(0)
    plan = draw_plan(units, units % 10, builds=builds, seed=0)
    np.save(folder / "membership.npy", plan.membership)
    np.save(folder / "complement.npy", plan.complement)
    shape = (builds, images + population, 2)
    phi = np.lib.format.open_memmap(folder / "phi.npy", mode="w+", dtype=np.float32, shape=shape)
    hard = 2 * rng.normal(size=(images + population, 1))
    for build in range(builds):
        inside = np.concatenate([plan.membership[build], np.zeros(population, dtype=bool)])
        phi[build] = 3 + hard + rng.normal(size=shape[1:]) + 0.6 * inside[:, None]
    phi.flush()


def load_table(folder: Path) -> object:
    from sudare.core.scores import Scale, ScoreTable

    phi = np.load(folder / "phi.npy", mmap_mode="r")
    membership = np.load(folder / "membership.npy")
    return ScoreTable(
        signals={"phi": phi},
        scales={"phi": Scale.LOGIT},
        membership=membership,
        complement=np.load(folder / "complement.npy"),
        units=np.arange(membership.shape[1]),
        labels=np.arange(phi.shape[1]) % 10,
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(folder: Path, test: str) -> None:
    """In a process of its own: time one test, print seconds and memory."""
    # So that importing it is not timed.
    importlib.import_module("scipy.special")
    from sudare.attacks.registry import make_test

    table = load_table(folder)
    if test == "read":
        before, start = peak_mb(), time.perf_counter()
        total = float(np.sum(table.signals["phi"], dtype=np.float64))
    elif test == "loop":
        before, start = peak_mb(), time.perf_counter()
        total = sum(float(looped(table, target).sum()) for target in range(LOOPED))
    else:
        made = make_test(test.partition(" ")[0], SETTINGS.get(test, {}))
        before, start = peak_mb(), time.perf_counter()
        total = float(made.scores(table).sum())
    wall = time.perf_counter() - start
    print(json.dumps({"s": wall, "peak_mb": peak_mb(), "before_mb": before, "check": total}))


def looped(table: object, target: int) -> np.ndarray:
    """Online LiRA with one variance for each side, for one target, without leave-out sums."""
    shadows = np.ones(table.n_builds, dtype=bool)
    shadows[[target, table.complement[target]]] = False
    phi = np.asarray(table.signals["phi"][:, : table.n_images], dtype=np.float64)
    inside = table.membership[shadows][:, :, None]
    values = phi[shadows]
    score = np.zeros(table.n_images)
    for side, sign in ((inside, 1.0), (~inside, -1.0)):
        mean = np.sum(values * side, axis=0) / side.sum(axis=0)
        variance = np.sum(np.square(values - mean) * side, axis=(0, 1)) / side.sum(axis=(0, 1))
        density = -np.square(phi[target] - mean) / (2 * variance) - np.log(variance) / 2
        score += sign * density.mean(axis=1)
    return score


def child(folder: Path, test: str) -> dict[str, float]:
    asked = [sys.executable, __file__, "--one", test, "--folder", str(folder)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=Path(), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.folder, options.one)
        return
    builds, images, population = (32, 4000, 500) if options.quick else (256, 50_000, 5000)
    rows = []
    with tempfile.TemporaryDirectory(dir=HERE) as name:
        folder = Path(name)
        make_table(folder, builds, images, population)
        for test in ("read", "loop", *TESTS):
            repeats = 1 if test == "loop" else options.repeats
            runs = [child(folder, test) for _ in range(repeats)]
            row = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
            if test == "loop":
                row["s"] *= builds / LOOPED
            rows.append({"test": test, **row, "runs": repeats})
            print(rows[-1], flush=True)
    if options.quick:
        return
    result = {
        "rows": rows,
        "builds": builds,
        "images": images,
        "population": population,
        "table_mb": builds * (images + population) * 2 * 4 / 2**20,
        **made_by("python benchmarks/membership/attack_step.py", HERE),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
