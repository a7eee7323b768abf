"""How often 95 % intervals hold the truth where builds share their test images, by simulation.

    python benchmarks/coverage/run.py              # all rows, results.json and README.md
    python benchmarks/coverage/run.py --draws 100  # smoke

Right answers are drawn from a logistic model with a difficulty for each image (sd 1.5) and a
strength for each build (sd 0.3); the truth is its mean over all images and builds. Fair models for
the gaps have classes and groups alike and images of differing difficulty (beta 4, 1).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from sudare.metrics import (
    crossed_share,
    largest_difference,
    largest_gap,
    mean_over_builds,
    worst_share,
)

HERE = Path(__file__).parent
TRUTHS, BUILDS, IMAGES = (0.5, 0.9, 0.98), (2, 4, 8, 16), (8, 64, 300)
ALIKE = ((10, 30, 8), (2, 300, 8), (2, 24, 4), (20, 12, 16))
FAIR = ((10, 2, 50, 8), (2, 2, 300, 8), (2, 2, 200, 4), (10, 1, 50, 8))


def share_row(truth: float, builds: int, images: int, draws: int) -> dict[str, float]:
    rng = np.random.default_rng([builds, images, round(1000 * truth)])
    nodes, centre = rng.normal(0, np.hypot(1.5, 0.3), 200_000), float(logit(truth))
    for _ in range(60):
        centre += 2 * (truth - expit(centre + nodes).mean())
    held = before = width = 0.0
    for _ in range(draws):
        chance = expit(
            centre + rng.normal(0, 0.3, builds)[:, None] + rng.normal(0, 1.5, images)[None]
        )
        right = (rng.random((builds, images)) < chance).astype(float)
        found = crossed_share(right)
        held += found.low <= truth <= found.high
        width += found.high - found.low
        over = mean_over_builds(right.mean(axis=1), bounds=(0, 1))
        before += over.low <= truth <= over.high
    return {
        "truth": truth,
        "builds": builds,
        "images": images,
        "coverage": held / draws,
        "width": width / draws,
        "coverage_over_builds_alone": before / draws,
    }


def gap_row(classes: int, groups: int, images: int, builds: int, draws: int) -> dict[str, float]:
    rng = np.random.default_rng([classes, groups, images, builds])
    within, held, before, value = np.repeat(np.arange(classes), images), 0, 0, 0.0
    for _ in range(draws):
        parts = within if groups == 1 else rng.integers(groups, size=len(within))
        chance = rng.beta(4, 1, size=len(within))
        right = (rng.random((builds, len(within))) < chance).astype(float)
        outer = None if groups == 1 else within
        found = largest_gap(right, parts, within=outer, rng=rng)
        held += found.low <= 0 <= found.high
        value += found.value / draws
        raw = _raw(right, parts, np.zeros_like(within) if outer is None else outer)
        over = mean_over_builds(raw, bounds=(0, 1))
        before += over.low <= 0 <= over.high
    return {
        "classes": classes,
        "groups": groups,
        "images": images,
        "builds": builds,
        "holds_zero": held / draws,
        "mean": value,
        "maximum_holds_zero": before / draws,
    }


def worst_row(classes: int, images: int, builds: int, draws: int) -> dict[str, float]:
    """Classes alike: the worst one is as good as all, and no weaker attack does better."""
    rng = np.random.default_rng([classes, images, builds, 7])
    parts, held, before, value = np.repeat(np.arange(classes), images), 0, 0, 0.0
    masked = maximum = 0
    for _ in range(draws):
        chance = rng.beta(4, 1, size=len(parts))
        right = (rng.random((builds, len(parts))) < chance).astype(float)
        found = worst_share(right, parts, rng=rng)
        held += found.low <= 0.8 <= found.high
        value += found.value / draws
        shares = [right[:, parts == part].mean(axis=1) for part in range(classes)]
        over = mean_over_builds(np.min(shares, axis=0), bounds=(0, 1))
        before += over.low <= 0.8 <= over.high
        weak = (rng.random((4, builds, len(parts))) < chance).astype(float)
        gap = largest_difference(right - weak, rng=rng)
        masked += gap.low <= 0 <= gap.high
        raw = (right - weak).mean(axis=2).max(axis=0)
        over = mean_over_builds(raw, bounds=(-1, 1))
        maximum += over.low <= 0 <= over.high
    return {
        "classes": classes,
        "images": images,
        "builds": builds,
        "holds": held / draws,
        "mean": value,
        "minimum_holds": before / draws,
        "masking_holds_zero": masked / draws,
        "maximum_holds_zero": maximum / draws,
    }


def _raw(right: np.ndarray, parts: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """The largest difference of each build, as it was printed before."""
    gaps = []
    for label in np.unique(outer):
        shares = [
            right[:, (outer == label) & (parts == part)].mean(axis=1)
            for part in np.unique(parts[outer == label])
        ]
        gaps.append(np.max(shares, axis=0) - np.min(shares, axis=0))
    return np.max(gaps, axis=0)


def page(results: dict) -> str:
    lines = [
        "# Coverage of intervals over builds and test images",
        "",
        f"Written by `{results['command']}` ({results['draws']} draws a row, error of a coverage "
        "about 0.01). Builds share their test images; intervals are to hold the truth in 95 % of "
        "draws. With 8 images an interval of whole numbers can only err on the wide side.",
        "",
        "| truth | builds | test images | coverage | width | over builds alone |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {r['truth']} | {r['builds']} | {r['images']} | {r['coverage']:.3f} | "
            f"{r['width']:.3f} | {r['coverage_over_builds_alone']:.3f} |"
            for r in results["shares"]
        ),
        "",
        "Fair models: how often the interval of the largest gap holds 0. *Maximum*: of the largest "
        "difference itself, as printed before.",
        "",
        "| classes | groups | images a class | builds | holds 0 | mean gap | maximum |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {r['classes']} | {r['groups']} | {r['images']} | {r['builds']} | "
            f"{r['holds_zero']:.3f} | {r['mean']:+.3f} | {r['maximum_holds_zero']:.3f} |"
            for r in results["gaps"]
        ),
        "",
        "Classes alike, each right in 0.8: how often the interval of the worst class holds that, "
        "and of the smallest recall of each build, as printed before; and, of four attacks as "
        "strong as the strongest, how often the sign of gradient masking holds 0.",
        "",
        "| classes | images a class | builds | holds 0.8 | mean | smallest | masking | largest |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {r['classes']} | {r['images']} | {r['builds']} | {r['holds']:.3f} | "
            f"{r['mean']:.3f} | {r['minimum_holds']:.3f} | {r['masking_holds_zero']:.3f} | "
            f"{r['maximum_holds_zero']:.3f} |"
            for r in results["worst"]
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=600)
    draws = parser.parse_args().draws
    results = {
        "command": "python " + " ".join(["benchmarks/coverage/run.py", *sys.argv[1:]]),
        "draws": draws,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "shares": [share_row(t, b, i, draws) for t in TRUTHS for b in BUILDS for i in IMAGES],
        "gaps": [gap_row(*fair, draws // 2) for fair in FAIR],
        "worst": [worst_row(*alike, draws // 2) for alike in ALIKE],
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "README.md").write_text(page(results))


if __name__ == "__main__":
    main()
