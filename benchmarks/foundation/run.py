"""Foundation benchmarks: the lite comparison, expected orderings, reference accuracies.

    python benchmarks/foundation/run.py lite         # from runs/lite, made if it is not there
    python benchmarks/foundation/run.py linear       # one more of its routes, a run of its own
    python benchmarks/foundation/run.py demo         # from runs/demo
    python benchmarks/foundation/run.py size         # leakage against training-set size
    python benchmarks/foundation/run.py reference    # accuracy of plain builds against references
    python benchmarks/foundation/run.py render       # README.md from results.json

``--preset smoke`` runs any of the first four in seconds, to see that they work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from sudare.audits.environment import made_by
from sudare.core.findings import Finding, Findings

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
TESTS = (
    "bavaria",
    "bavaria_offline",
    "lira",
    "lira_offline",
    "rmia",
    "rmia_offline",
    "loss",
    "modified_entropy",
    "shokri",
    "gap",
    "boundary",
    "boundary_calibrated",
    "nearest",
    "nearest_calibrated",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("topic", choices=[*TOPICS, "render"])
    parser.add_argument("--preset", default="")
    options = parser.parse_args()
    results: dict[str, dict[str, object]] = {}
    if options.topic != "render":
        start = time.monotonic()
        rows, command = TOPICS[options.topic](options.preset)
        # Read only now: another topic may have been written while this one ran.
        results = written()
        results[options.topic] = {
            "rows": rows,
            **made_by(command, HERE),
            "wall_s": round(made_in(options.topic, options.preset) or time.monotonic() - start),
        }
        if options.preset == "smoke":
            print(json.dumps(results[options.topic], indent=1))
            return
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "README.md").write_text(render(written()))


def written() -> dict[str, dict[str, object]]:
    """What results.json holds; it lies in the repository, so it must be there."""
    if not RESULTS.exists():
        raise SystemExit(f"{RESULTS} is missing: restore it, or earlier topics would be lost")
    return json.loads(RESULTS.read_text())


def made_in(topic: str, preset: str) -> float | None:
    """Seconds the run of a preset took, if the topic is one and it ran in one go."""
    name = {"linear": "lite-linear"}.get(topic, preset or topic)
    summary = Path(f"runs/{name}/run.json")
    return float(json.loads(summary.read_text())["wall_s"]) if summary.exists() else None


def compare(folder: str, *arguments: str) -> Findings:
    """The findings of a run, which is made if its folder is not there."""
    if not (Path(folder) / "findings.json").exists():
        subprocess.run(
            [sys.executable, "-m", "sudare", "compare", "--out", folder, *arguments], check=True
        )
    return Findings.model_validate_json((Path(folder) / "findings.json").read_text())


def figures(findings: Findings, names: tuple[str, ...]) -> list[dict[str, object]]:
    """Rows of a table: one for each release, a figure with interval for each name."""
    releases = list(dict.fromkeys(finding.release for finding in findings.findings))
    rows = []
    for release in releases:
        found = {f.id: f for f in findings.findings if f.release == release and not f.group}
        row: dict[str, object] = {"release": release}
        for name in names:
            row[name] = figure(found[name]) if name in found else None
        rows.append(row)
    return rows


def figure(finding: Finding) -> dict[str, object]:
    keys = ("value", "low", "high", "n_units", "n_builds", "status", "reason")
    return {key: getattr(finding, key) for key in keys}


COLUMNS = (
    "utility.accuracy",
    "utility.heldout_accuracy",
    "utility.train_accuracy",
    *(f"membership.{test}.auc" for test in TESTS),
    *(f"membership.{test}.tpr@0.01" for test in TESTS),
    *(f"membership.{test}.tpr@0.001" for test in TESTS),
    "membership.rmia.worst_case",
    "membership.lira.worst_case",
    *(f"membership.{test}.null_auc" for test in TESTS),
    "cost.build_cpu_s",
)


def lite(preset: str) -> tuple[list[dict[str, object]], str]:
    name = preset or "lite"
    data = () if preset else ("--data", "fashion-mnist")
    rows = figures(compare(f"runs/{name}", *data, "--preset", name), COLUMNS)
    return rows, "sudare compare --data fashion-mnist --preset lite"


def linear(preset: str) -> tuple[list[dict[str, object]], str]:
    """The linear head of the lite preset, on the same split and plan."""
    name = preset or "lite"
    data = () if preset else ("--data", "fashion-mnist")
    route = ("--routes", "linear-public")
    found = compare(f"runs/{name}-linear", *data, "--preset", name, *route)
    command = "sudare compare --data fashion-mnist --preset lite --routes linear-public"
    return figures(found, COLUMNS), command


def demo(preset: str) -> tuple[list[dict[str, object]], str]:
    name = preset or "demo"
    return figures(compare(f"runs/{name}", "--preset", name), COLUMNS), "make demo"


def size(preset: str) -> tuple[list[dict[str, object]], str]:
    """The plain classifier of the demo at several pool sizes; equal epochs."""
    rows = []
    pools = (100, 200) if preset == "smoke" else (300, 600, 1200, 2400)
    for pool in pools:
        name = preset or "demo"
        findings = compare(
            f"runs/size-{name}-{pool}",
            "--preset",
            name,
            "--routes",
            "plain",
            "--set",
            f"data.pool={pool}",
            "--set",
            "checks=[]",
        )
        (row,) = figures(findings, COLUMNS)
        rows.append({**row, "release": f"plain, {pool // 2} training images"})
    return rows, "python benchmarks/foundation/run.py size"


def reference(preset: str) -> tuple[list[dict[str, object]], str]:
    """Held-out accuracy of plain builds beside independent classifiers on the same halves."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from sudare.audits.config import load_config, read_toml
    from sudare.audits.parts import split_of
    from sudare.core.progress import Silent
    from sudare.data.plan import draw_plan

    config = load_config(read_toml(preset or "demo"))
    _, split = split_of(config, progress=Silent())
    pool = split.pool
    pixels, labels = pool.images.reshape(len(pool), -1) / 255.0, pool.classes
    plan = draw_plan(pool.unit, labels, builds=config.fleet.builds, seed=config.seed)
    halves = plan.membership[: 4 if preset == "smoke" else 8]
    models = {
        "support vectors, RBF, C = 10": lambda: make_pipeline(StandardScaler(), SVC(C=10)),
        "gradient boosting": lambda: HistGradientBoostingClassifier(random_state=0),
    }
    rows = []
    for name, make in models.items():
        scores = np.array(
            [make().fit(pixels[k], labels[k]).score(pixels[~k], labels[~k]) for k in halves]
        )
        rows.append({"release": name, "utility.heldout_accuracy": spread(scores)})
    wide = read_toml(preset or "demo")
    wide["defaults"]["net"]["width"] = 128 if preset != "smoke" else 16
    wide["routes"], wide["fleet"]["builds"], wide["checks"] = [{"kind": "plain"}], 4, []
    findings = compare_values(wide, f"runs/reference-{preset or 'demo'}")
    (row,) = figures(findings, ("utility.heldout_accuracy",))
    rows.append({**row, "release": "ConvNet-3 of width 128, 4 builds, same recipe"})
    return rows, "python benchmarks/foundation/run.py reference"


def compare_values(values: dict[str, object], folder: str) -> Findings:
    from sudare.audits.compare import compare as run
    from sudare.audits.config import load_config
    from sudare.core.files import default_cache
    from sudare.core.progress import auto
    from sudare.fleets.cache import Cache

    result = run(
        load_config(values),
        Path(folder),
        cache=Cache(default_cache()),
        progress=auto(),
        command="benchmarks/foundation/run.py reference",
    )
    return result.findings


def spread(scores: np.ndarray) -> dict[str, object]:
    from sudare.metrics import mean_over_builds

    estimate = mean_over_builds(scores, bounds=(0.0, 1.0))
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n_builds": len(scores),
        "status": "measured",
    }


TOPICS = {"lite": lite, "linear": linear, "demo": demo, "size": size, "reference": reference}

TITLES = {
    "demo": "Chest X-rays: the demo",
    "lite": "Fashion-MNIST: the lite preset",
    "linear": "Fashion-MNIST: the linear head of the lite preset",
    "size": "Leakage against the size of the training set",
    "reference": "Accuracy of plain builds against independent references",
}
SHOWN = {
    "utility.accuracy": "test accuracy",
    "utility.heldout_accuracy": "held-out accuracy",
    "utility.train_accuracy": "training accuracy",
    **{f"membership.{test}.auc": f"{test} AUC" for test in TESTS},
    **{f"membership.{test}.tpr@0.01": f"{test} TPR at 1 %" for test in TESTS},
    **{f"membership.{test}.tpr@0.001": f"{test} TPR at 0.1 %" for test in TESTS},
    "membership.rmia.worst_case": "rmia worst case",
    "membership.lira.worst_case": "lira worst case",
    "cost.build_cpu_s": "CPU s a build",
}


def render(results: dict[str, dict[str, object]]) -> str:
    """The page: one table for each group of columns, so that it fits a screen."""
    lines = ["# Foundation benchmarks\n", "Written by `run.py`; intervals at 95 %.\n"]
    for topic, title in TITLES.items():
        if topic not in results:
            continue
        result = results[topic]
        lines += [f"## {title}\n", about(result)]
        groups = [
            [name for name in SHOWN if name.startswith(("utility", "cost"))],
            [name for name in SHOWN if name.endswith(".auc")],
            [name for name in SHOWN if name.endswith("@0.01")],
            [name for name in SHOWN if name.endswith("@0.001")],
            [name for name in SHOWN if name.endswith("worst_case")],
        ]
        for group in groups:
            lines += table(result["rows"], group)
        if topic in ("lite", "demo"):
            lines += orderings(result["rows"])
    return "\n".join(lines) + "\n"


def about(result: dict[str, object]) -> str:
    on = result["machine"]
    return (
        f"`{result['command']}`, {result['date']}, {on['processor']}, {on['cores']} cores, torch "
        f"{result['versions']['torch']}, commit {result.get('commit', 'not kept')}, "
        f"{minutes(result)}.\n"
    )


def minutes(result: dict[str, object]) -> str:
    wall, cpu = float(result["wall_s"]), cpu_seconds(result["rows"])
    return f"{wall / 60:.0f} minutes in all" + (f", {cpu / 60:.0f} of CPU in builds" if cpu else "")


def cpu_seconds(rows: list[dict[str, object]]) -> float:
    found = [row.get("cost.build_cpu_s") for row in rows]
    return sum(f["value"] * f["n_builds"] for f in found if f and f["value"] is not None)


def table(rows: list[dict[str, object]], names: list[str]) -> list[str]:
    present = [name for name in names if any(row.get(name) for row in rows)]
    if not present:
        return []
    head = "| release | " + " | ".join(SHOWN[name] for name in present) + " |"
    rule = "| --- |" + " --- |" * len(present)
    body = [
        f"| {row['release']} | " + " | ".join(cell(row.get(name)) for name in present) + " |"
        for row in rows
    ]
    return [head, rule, *body, ""]


def cell(found: dict[str, object] | None) -> str:
    if found is None:
        return ""
    if found["value"] is None:
        return f"n/a ({found['reason']})"
    return f"{found['value']:.4g} ({found['low']:.4g} to {found['high']:.4g})"


def orderings(rows: list[dict[str, object]]) -> list[str]:
    """The expected orderings, each judged by intervals."""
    by_name = {row["release"]: row for row in rows}
    lines = ["| expected | larger | smaller | verdict |", "| --- | --- | --- | --- |"]

    def judge(text: str, one: dict[str, object] | None, two: dict[str, object] | None) -> None:
        if not one or not two or one["value"] is None or two["value"] is None:
            lines.append(f"| {text} | {cell(one)} | {cell(two)} | not measured |")
            return
        holds = one["low"] > two["high"]
        fails = one["high"] < two["low"]
        verdict = "holds" if holds else "is reversed" if fails else "not resolved"
        lines.append(f"| {text} | {cell(one)} | {cell(two)} | {verdict} |")

    plain, eight, one = (by_name.get(name) for name in ("plain", "dpsgd-eps8", "dpsgd-eps1"))
    for test in ("lira", "rmia"):
        column = f"membership.{test}.auc"
        if plain and eight:
            judge(f"{test}: plain leaks more than DP-SGD 8", plain[column], eight[column])
        if eight and one:
            judge(f"{test}: DP-SGD 8 leaks at least as much as 1", eight[column], one[column])
    for rate in ("0.01", "0.001"):
        if plain:
            tests = [
                plain[f"membership.{test}.tpr@{rate}"] for test in ("lira", "lira_offline", "loss")
            ]
            judge(f"plain: online >= offline LiRA, TPR at {rate}", tests[0], tests[1])
            judge(f"plain: offline LiRA >= global threshold, TPR at {rate}", tests[1], tests[2])
    return [*lines, ""]


if __name__ == "__main__":
    main()
