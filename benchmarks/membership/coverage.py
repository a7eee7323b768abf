"""Do 95 % intervals cover in 95 % of audits whose truth is known?

    python benchmarks/membership/coverage.py             # 1,000 audits for each row, about an hour
    python benchmarks/membership/coverage.py --audits 20 # to see that it works; writes nothing
    python benchmarks/membership/coverage.py --figure "worst case"  # count these rows again
    python benchmarks/membership/coverage.py --figure few  # few units, four builds, ties: 10 min

Scores are simulated with what real ones have: images that are hard for every build, builds that
are better or worse calibrated than others, effects that differ from image to image, ties, and
shadows that every build shares with the other targets. The truth is the mean of a figure over all
simulated audits of a scenario, which is what an interval is about.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sudare.attacks.registry import make_test
from sudare.audits.environment import machine, versions
from sudare.core.scores import Scale, ScoreTable
from sudare.data.plan import draw_plan
from sudare.metrics import (
    clopper_pearson,
    epsilon_from_gaussian,
    epsilon_from_threshold,
    mean_over_builds,
    membership_estimates,
)
from sudare.metrics.exposure import worst_case

HERE = Path(__file__).parent
RESULTS = HERE / "coverage.json"
BUILDS, IMAGES = 16, 400
SCENARIOS = {
    "nothing in common": {"image": 0.0, "build": 0.0, "effect": 0.6},
    "hard images": {"image": 2.0, "build": 0.0, "effect": 0.6},
    "uneven builds": {"image": 2.0, "build": 0.3, "effect": 0.6},
    "uneven effects, ties": {"image": 2.0, "build": 0.3, "effect": 0.6, "uneven": 1.0, "step": 0.5},
    "no effect": {"image": 2.0, "build": 0.3, "effect": 0.0},
}
TESTS = ("loss", "lira", "lira_offline", "rmia", "rmia_offline", "bavaria")


def table_of(
    seed: int,
    *,
    image: float,
    build: float,
    effect: float,
    uneven: float = 0.0,
    step: float = 0.0,
    builds: int = BUILDS,
) -> ScoreTable:
    """One audit's scores."""
    rng = np.random.default_rng(seed)
    units = np.arange(IMAGES)
    plan = draw_plan(units, units % 2, builds=builds, seed=seed)
    phi = rng.normal(size=(builds, IMAGES))
    phi += 3 + image * rng.normal(size=IMAGES) + build * rng.normal(size=(builds, 1))
    effects = effect * (1 + uneven * (rng.gamma(1.0, 1.0, size=IMAGES) - 1))
    phi += effects * plan.membership
    if step:
        phi = np.round(phi / step) * step
    return ScoreTable(
        signals={"phi": phi[:, :, None]},
        scales={"phi": Scale.LOGIT},
        membership=plan.membership,
        complement=plan.complement,
        units=units,
        labels=units % 2,
    )


def membership_audit(job: tuple[str, str, int]) -> list[tuple[str, float, float, float]]:
    """Figure, value, low and high of each interval of one audit."""
    scenario, test, seed = job
    table = table_of(seed, **SCENARIOS[scenario])
    scores = make_test(test, {}).scores(table)
    found = membership_estimates(
        scores,
        table.membership,
        table.units,
        rng=np.random.default_rng(seed + 1),
        alphas=(0.1, 0.01),
        draws=400,
    )
    named = {
        "AUC": found.auc,
        "TPR at 10 %": found.tpr_at[0.1],
        "TPR at 1 %": found.tpr_at[0.01],
        "balanced accuracy": found.balanced_accuracy,
    }
    return [(name, e.value, e.low, e.high) for name, e in named.items() if e.value is not None]


def worst_case_audit(job: tuple[str, str, int]) -> list[tuple[str, float, float, float]]:
    """The cross-fitted worst case of one audit."""
    scenario, test, seed = job
    table = table_of(seed, **SCENARIOS[scenario])
    rng = np.random.default_rng(seed + 1)
    found = worst_case(make_test(test, {}).scores, table, rng=rng, share=0.05, draws=200)
    return [("worst case", found.value, found.low, found.high)]


def few_units_audit(job: tuple[str, str, int]) -> list[tuple[str, float, float, float]]:
    """One artefact, so many units a side of five images each, some noise shared by a unit."""
    scenario, _, seed = job
    side, rng = int(scenario.split()[0]), np.random.default_rng(seed)
    units = np.repeat(np.arange(2 * side), 5)
    members = units < side
    scores = 0.5 * rng.normal(size=2 * side)[units] + rng.normal(size=len(units))
    scores += 0.6 * members
    # Below the product's least number of units as well: this is what sets it.
    sys.modules["sudare.metrics.roc"].LEAST_UNITS = 1
    found = membership_estimates(
        scores[None],
        members[None],
        units,
        rng=np.random.default_rng(seed + 1),
        alphas=(0.1,),
        draws=400,
    )
    return [("AUC", found.auc.value, found.auc.low, found.auc.high)]


def few_builds_audit(job: tuple[str, str, int]) -> list[tuple[str, float, float, float]]:
    """Four or eight builds that leak unevenly."""
    scenario, test, seed = job
    rng = np.random.default_rng(seed)
    builds = int(scenario.split()[0])
    table = table_of(seed, builds=builds, image=2.0, build=0.3, effect=0.0)
    phi = table.signals["phi"].copy()
    phi += 0.6 * rng.gamma(4.0, 0.25, size=(builds, 1, 1)) * table.membership[:, :, None]
    table = replace(table, signals={"phi": phi})
    return _auc_of(make_test(test, {}).scores(table), table, seed)


def _auc_of(scores, table: ScoreTable, seed: int) -> list[tuple[str, float, float, float]]:
    rng = np.random.default_rng(seed + 1)
    found = membership_estimates(
        scores, table.membership, table.units, rng=rng, alphas=(0.1,), draws=400
    )
    rate = found.tpr_at[0.1]
    resolved = rate if rate.value is not None else None
    named = [("AUC", found.auc.value, found.auc.low, found.auc.high)]
    if resolved is None:
        return [*named, ("TPR at 10 %", np.nan, np.nan, np.nan)]
    return [*named, ("TPR at 10 %", resolved.value, resolved.low, resolved.high)]


def ties_audit(job: tuple[str, str, int]) -> list[tuple[str, float, float, float]]:
    """Scores in steps: how often is a rate unresolvable, and does the interval cover if not?"""
    scenario, test, seed = job
    step = float(scenario.rpartition(" ")[2])
    table = table_of(seed, image=2.0, build=0.0, effect=0.6, step=step)
    return _auc_of(make_test(test, {}).scores(table), table, seed)


def plain_audit(job: tuple[str, str, int]) -> list[tuple[str, float, float, float]]:
    """Intervals of means and counts."""
    _, kind, seed = job
    rng = np.random.default_rng(seed)
    if kind == "mean over builds":
        found = mean_over_builds(rng.beta(20, 4, size=BUILDS))
    else:
        found = clopper_pearson(int(rng.binomial(200, 0.03)), 200)
    return [(kind, found.value, found.low, found.high)]


def epsilon_audit(job: tuple[str, str, int]) -> list[tuple[str, float, float, float]]:
    """Epsilon of worthless scores: how often is it above 0?"""
    _, kind, seed = job
    rng = np.random.default_rng(seed)
    scores, members = rng.normal(size=2000), np.arange(2000) < 1000
    if kind == "Gaussian-DP":
        found = epsilon_from_gaussian(scores, members, delta=1e-5)
    else:
        found = epsilon_from_threshold(scores, members, choice=kind, rng=rng)
    return [(kind, float(found.low > 0), 0.0, 0.0)]


def jobs() -> Iterator[tuple[str, str, str, Callable[..., list[tuple[str, float, float, float]]]]]:
    """Table, scenario, test and function of every row."""
    for scenario in SCENARIOS:
        for test in TESTS:
            yield "intervals", scenario, test, membership_audit
    for scenario in ("hard images", "uneven effects, ties", "no effect"):
        yield "intervals", scenario, "lira", worst_case_audit
    for kind in ("mean over builds", "Clopper-Pearson"):
        yield "intervals", "independent draws", kind, plain_audit
    for side in (5, 10, 20, 30, 50, 100):
        yield "few", f"{side} units a side", "one artefact", few_units_audit
    for builds in (4, 8):
        for test in ("loss", "rmia"):
            yield "few", f"{builds} builds, uneven effects", test, few_builds_audit
    for step in (0.5, 2.0):
        yield "few", f"scores in steps of {step:g}", "loss", ties_audit
    for kind in ("bonferroni", "split", "Gaussian-DP"):
        yield "epsilon", "worthless scores", kind, epsilon_audit


FUNCTIONS = {
    "worst case": (worst_case_audit,),
    "few": (few_units_audit, few_builds_audit, ties_audit),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audits", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--figure", default="", help="count this figure again and keep the file's other rows"
    )
    options = parser.parse_args()
    start, rows = time.monotonic(), []
    with ProcessPoolExecutor(options.workers) as pool:
        for table, scenario, test, function in jobs():
            if options.figure and function not in FUNCTIONS[options.figure]:
                continue
            tasks = [(scenario, test, seed) for seed in range(options.audits)]
            audits = list(pool.map(function, tasks, chunksize=10))
            for figures in zip(*audits, strict=True):
                values, low, high = (np.array([f[i] for f in figures]) for i in (1, 2, 3))
                resolved = np.isfinite(values)
                values, low, high = values[resolved], low[resolved], high[resolved]
                if not len(values):
                    values = low = high = np.zeros(1)
                truth = float(values.mean())
                covered = (low <= truth) & (truth <= high)
                share = truth if table == "epsilon" else float(covered.mean())
                rows.append(
                    {
                        "table": table,
                        "scenario": scenario,
                        "test": test,
                        "figure": figures[0][0],
                        "truth": round(truth, 4),
                        "share": round(share, 4),
                        "width": round(float((high - low).mean()), 4),
                        "audits": len(resolved),
                        "resolved": round(float(resolved.mean()), 4),
                    }
                )
                print(rows[-1], flush=True)
    if options.audits < 1000:
        return
    if options.figure:
        kept = json.loads(RESULTS.read_text())
        again = {(row["scenario"], row["test"], row["figure"]): row for row in rows}
        kept["rows"] = [
            again.pop((row["scenario"], row["test"], row["figure"]), row) for row in kept["rows"]
        ]
        kept["rows"] += again.values()
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
        return
    result = {
        "rows": rows,
        "command": "python benchmarks/membership/coverage.py",
        "builds": BUILDS,
        "images": IMAGES,
        "machine": machine(),
        "versions": versions(),
        "date": datetime.now(UTC).date().isoformat(),
        "wall_s": round(time.monotonic() - start),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
