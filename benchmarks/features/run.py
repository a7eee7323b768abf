"""Distributions of features: what each teaches and what each gives away.

    python benchmarks/features/run.py pneumonia 0      # one data set, one seed: a part of a minute
    python benchmarks/features/run.py all              # every part that is not there yet
    python benchmarks/features/run.py render           # README.md from results.json

Each part is one `sudare compare` of every model, 4 whole-pipeline builds; it leaves its row in
results.json, so that a run that was cut off goes on. ``--preset smoke`` takes a fifth of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from sudare.audits.compare import compare
from sudare.audits.config import load_config
from sudare.audits.environment import made_by
from sudare.core.files import default_cache
from sudare.core.progress import auto
from sudare.fleets.cache import Cache
from sudare.metrics import mean_over_builds

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
DATA, SEEDS = ("pneumonia", "fashion-mnist"), (0, 1, 2)
POOL = {"pneumonia": 1200, "fashion-mnist": 2000}
MODELS = (
    {"name": "ksame", "k": 1},
    {"name": "cvae", "mode": "paper"},
    {"name": "cvae", "mode": "textbook"},
    {"name": "gaussian", "rank": 0},
    {"name": "gaussian", "rank": 10},
    {"name": "gaussian", "rank": 40, "images_per_rank": 4},
    {"name": "ksame", "k": 5},
    {"name": "ksame", "k": 5, "within_class": False},
    {"name": "ksame", "k": 15, "within_class": False},
    {"name": "dp-gaussian", "epsilon": 8.0, "delta": 1e-4},
    {"name": "dp-gaussian", "epsilon": 1.0, "delta": 1e-4},
)
FIGURES = {
    "balanced accuracy": "utility.balanced_accuracy",
    "spread kept": "sampler.variance_ratio",
    "coverage": "sampler.coverage",
    "T0 members": "sampler.bounds.tpr",
    "T0 others": "sampler.bounds.fpr",
    "T1": "sampler.nearest.auc",
    "T2 latent": "sampler.latent.auc",
    "T2 likelihood": "sampler.likelihood.auc",
    "T3 RMIA": "membership.rmia.auc",
    "MB": "cost.storage_mb",
    "fit CPU s": "cost.build_cpu_s",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=[*DATA, "all", "render"])
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--preset", choices=["", "smoke"], default="")
    options = parser.parse_args()
    if options.what == "render":
        (HERE / "README.md").write_text(render(written()))
        return
    parts = list(product(SEEDS, DATA)) if options.what == "all" else [(options.seed, options.what)]
    for seed, data in parts:
        key = f"{data}/{seed}"
        if options.what == "all" and key in written():
            continue
        part = measured(data, seed, small=options.preset == "smoke")
        if options.preset:
            print(json.dumps(part, indent=1))
            continue
        results = written()
        results[key] = part
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        (HERE / "README.md").write_text(render(results))


def written() -> dict:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def measured(data: str, seed: int, *, small: bool) -> dict:
    pool = POOL[data] // (5 if small else 1)
    extractor = {"name": "random-features", "size_px": 16} if small else {}
    config = load_config(
        {
            "title": f"Distributions of features of {data}, seed {seed}",
            "seed": seed,
            "data": {
                "source": data,
                "pool": pool,
                "population": pool // 2,
                "public": 600,
                "test": 0 if data == "pneumonia" else 1000,
            },
            "fleet": {"builds": 4},
            "routes": [
                {"kind": "features", "model": model, "extractor": extractor}
                for model in (MODELS[:4] if small else MODELS)
            ],
            "checks": [{"kind": "sampler"}],
        }
    )
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = compare(
            config,
            Path(folder),
            cache=Cache(default_cache()),
            progress=auto(),
            command="benchmarks/features/run.py",
        )
        found = {(f.id, f.release): f for f in result.findings.findings if not f.group}
        rows = {}
        for route in config.routes:
            row = {"label": route.label}
            for name, figure in FIGURES.items():
                finding = found.get((figure, route.name))
                if finding is not None and finding.value is not None:
                    row[name] = [finding.value, finding.low, finding.high]
            row["head AUC"] = head_auc(Path(folder) / "evidence" / f"{route.name}.npz")
            rows[route.name] = row
    return {
        "rows": rows,
        "pool": pool,
        **made_by(f"python benchmarks/features/run.py {data} {seed}", HERE),
        "wall_s": round(time.monotonic() - start),
    }


def head_auc(evidence: Path) -> list[float]:
    """Macro one-against-rest AUC of the heads on the test images: mean and range over builds."""
    with np.load(evidence, allow_pickle=False) as file:
        logits, labels = file["test"].mean(axis=1), file["test_labels"]
    each = []
    for scores in logits:
        onehot = np.eye(scores.shape[1])[labels]
        posterior = np.exp(scores - scores.max(axis=1, keepdims=True))
        each.append(roc_auc_score(onehot, posterior / posterior.sum(axis=1, keepdims=True)))
    return [float(np.mean(each)), float(np.min(each)), float(np.max(each))]


ORDERINGS = (
    (
        "The published CVAE teaches more than label-agnostic k-same with k 5",
        "head AUC",
        "cvae-paper",
        "ksame5-mixed",
    ),
    (
        "Within-class k-same teaches no less than the published CVAE",
        "head AUC",
        "ksame5",
        "cvae-paper",
    ),
    (
        "A rank-10 Gaussian teaches more than the published CVAE",
        "head AUC",
        "gaussian-rank10",
        "cvae-paper",
    ),
    (
        "The published CVAE's weights leak more (T2) than its samples (T1)",
        ("T2 latent", "T1"),
        "cvae-paper",
        "cvae-paper",
    ),
    (
        "The published KL term leaks more under latent search than the textbook's",
        "T2 latent",
        "cvae-paper",
        "cvae-textbook",
    ),
    (
        "A Gaussian of rank up to n/4 leaks more (likelihood) than one of rank 10",
        "T2 likelihood",
        "gaussian-rank40",
        "gaussian-rank10",
    ),
    (
        "A rank-10 Gaussian leaks more (likelihood) than a diagonal one",
        "T2 likelihood",
        "gaussian-rank10",
        "gaussian-rank0",
    ),
    (
        "k-same with k 5 is found by nearness (T1) more than the CVAE's samples are",
        "T1",
        "ksame5-mixed",
        "cvae-paper",
    ),
    (
        "The published CVAE's samples vary less than a Gaussian's",
        "spread kept",
        "gaussian-rank10",
        "cvae-paper",
    ),
    (
        "Private bounds name members (T0), not others",
        ("T0 members", "T0 others"),
        "cvae-paper",
        "cvae-paper",
    ),
    ("Epsilon 8 teaches more than epsilon 1", "head AUC", "dp-gaussian-eps8", "dp-gaussian-eps1"),
)


def render(results: dict) -> str:
    text = [
        "# Distributions of features\n",
        "Every model of the feature route on features of EfficientNet-Lite0 at 96 pixels. Each "
        "part is one `sudare compare` with 4 whole-pipeline builds from random halves of the "
        "pool (600 and 1,000 images a build); figures are means over the seeds with their range. "
        "T0: share of members, and of others, on a bound. T1: nearest sample, AUC. T2: latent "
        "search or likelihood, AUC. T3: RMIA through heads with shadow builds, AUC. *The features "
        "themselves* (k 1) are what a recipient could learn at most, and no protection.\n",
        "    python benchmarks/features/run.py all\n",
    ]
    for data in DATA:
        parts = [part for key, part in sorted(results.items()) if key.startswith(f"{data}/")]
        if not parts:
            continue
        columns = ["head AUC", *FIGURES]
        text += [
            f"## {data}, {parts[0]['pool']:,} images in the pool, {len(parts)} seeds\n",
            "| model | " + " | ".join(columns) + " |",
            "| --- |" + " ---: |" * len(columns),
        ]
        for name, row in parts[0]["rows"].items():
            cells = [
                _cell([p["rows"][name][c][0] for p in parts if c in p["rows"][name]])
                for c in columns
            ]
            text.append(f"| {row['label']} | " + " | ".join(cells) + " |")
        text += ["", "| ordering | difference (95 % over seeds) | |", "| --- | ---: | --- |"]
        text += [_ordering(parts, *ordering) for ordering in ORDERINGS]
        about = parts[0]["machine"]
        commits = ", ".join(sorted({part["commit"] for part in parts}))
        walls = ", ".join(f"{part['wall_s']} s" for part in parts)
        text.append(
            f"\n{about['processor']}, {about['cores']} cores; commits {commits}; "
            f"wall {walls}; {parts[0]['date']}.\n"
        )
    return "\n".join(text)


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):.3g}"
    return mean if len(values) < 2 else f"{mean} ({min(values):.3g} to {max(values):.3g})"


def _ordering(parts: list, said: str, figure: object, more: str, less: str) -> str:
    first, second = figure if isinstance(figure, tuple) else (figure, figure)
    gaps = [
        part["rows"][more][first][0] - part["rows"][less][second][0]
        for part in parts
        if first in part["rows"].get(more, {}) and second in part["rows"].get(less, {})
    ]
    if len(gaps) < 2:
        return f"| {said} | | not measured |"
    found = mean_over_builds(np.array(gaps))
    mean, low, high = found.value, found.low, found.high
    verdict = "held" if low > 0 else "refuted" if high < 0 else "not resolved"
    interval = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"| {said} | {interval} | {verdict} |"


if __name__ == "__main__":
    main()
