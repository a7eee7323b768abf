"""Published findings about attacks, on Fashion-MNIST: do orderings and magnitudes come out again?

    python benchmarks/membership/checkpoints.py          # 64 builds, about ten minutes on two cores
    python benchmarks/membership/checkpoints.py --quick  # digits, to see that it works

One fleet of 64 plain classifiers that learn their 2,000 images by heart; every attack on all 64
builds and on the first 16 of them. The published figures are CIFAR-10's (Carlini et al. 2022, the
two public implementations at 16 shadows, Zarifzadeh et al. 2024): what is compared is who finds
more and by what factor, not the values. On a GPU, `sudare compare --preset paper` has the setting
of the publications.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from sudare.attacks.registry import make_test
from sudare.audits.checks.signal_tables import table_of
from sudare.audits.environment import made_by
from sudare.audits.evidence import read_evidence
from sudare.core.scores import ScoreTable
from sudare.metrics import membership_estimates

HERE = Path(__file__).parent
RESULTS = HERE / "checkpoints.json"
VARIANTS = {
    "LiRA online": ("lira", {"variance": "per-example"}),
    "LiRA online, fixed variance": ("lira", {"variance": "fixed"}),
    "LiRA offline": ("lira_offline", {"variance": "per-example"}),
    "LiRA offline, fixed variance": ("lira_offline", {"variance": "fixed"}),
    "LiRA offline, fixed, two-sided": ("lira_offline", {"variance": "fixed", "tail": "reference"}),
    "RMIA online": ("rmia", {}),
    "RMIA offline": ("rmia_offline", {}),
    "BaVarIA online": ("bavaria", {}),
    "global threshold": ("loss", {}),
}
# Expected, the figure, larger, smaller, builds; after the tables of the publications.
EXPECTED = (
    ("a fixed variance helps at 16", "tpr", "LiRA online, fixed variance", "LiRA online", 16),
    ("online finds more than offline", "tpr", "LiRA online, fixed variance", "LiRA offline", 16),
    ("offline finds more than one threshold", "tpr", "LiRA offline", "global threshold", 16),
    ("offline finds more than one threshold", "tpr", "LiRA offline", "global threshold", 64),
    ("one tail is better than two", "auc", "LiRA offline, fixed variance",
     "LiRA offline, fixed, two-sided", 16),
    ("two-sided offline is worse than one threshold", "auc", "global threshold",
     "LiRA offline, fixed, two-sided", 16),
    ("RMIA is ahead with few builds", "auc", "RMIA online", "LiRA online, fixed variance", 16),
    ("RMIA and LiRA end close, RMIA ahead", "auc", "RMIA online", "LiRA online", 64),
)  # fmt: skip


def fleet(folder: Path, *, quick: bool) -> ScoreTable:
    """Signals of the fleet, which is built if its folder is not there."""
    small = ("--preset", "smoke", "--builds", "16")
    large = ("--data", "fashion-mnist", "--preset", "lite", "--builds", "64")
    settings = [] if quick else ["data.pool=4000", "defaults.recipe.epochs=50"]
    evidence = folder / "evidence" / "plain.npz"
    if not evidence.exists():
        chosen = small if quick else large
        options = [part for setting in settings for part in ("--set", setting)]
        run = [sys.executable, "-m", "sudare", "compare", *chosen, "--routes", "plain"]
        unused = ("attacks.boundary_images=0", 'attacks.membership=["rmia"]', "checks=[]")
        off = [part for setting in unused for part in ("--set", setting)]
        subprocess.run([*run, *options, *off, "--out", str(folder)], check=True)
    return table_of(read_evidence(evidence))


def some(table: ScoreTable, builds: int) -> ScoreTable:
    """The first builds; pairs stand together."""
    return dataclasses.replace(
        table,
        signals={name: values[:builds] for name, values in table.signals.items()},
        membership=table.membership[:builds],
        complement=table.complement[:builds],
    )


def rows_of(table: ScoreTable, builds: int) -> list[dict[str, object]]:
    rows = []
    for label, (name, settings) in VARIANTS.items():
        scores = make_test(name, settings).scores(table)
        found = membership_estimates(
            scores,
            table.membership,
            table.units,
            rng=np.random.default_rng(0),
            alphas=(0.01, 0.001),
            draws=500,
        )
        row: dict[str, object] = {"attack": label, "builds": builds}
        named = {"auc": found.auc, "tpr1": found.tpr_at[0.01], "tpr": found.tpr_at[0.001]}
        for key, estimate in named.items():
            row[key] = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folder = Path("runs/checkpoints-quick" if options.quick else "runs/checkpoints")
    table = fleet(folder, quick=options.quick)
    counts = (8, 16) if options.quick else (16, 64)
    rows = [row for count in counts for row in rows_of(some(table, count), count)]
    if options.quick:
        return
    findings = json.loads((folder / "findings.json").read_text())["findings"]
    result = {
        "rows": rows,
        "accuracy": {
            f["id"]: f["value"]
            for f in findings
            if f["id"].startswith("utility.") and not f["group"]
        },
        "images": table.n_images,
        **made_by("python benchmarks/membership/checkpoints.py", HERE),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
