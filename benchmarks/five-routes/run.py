"""All five ways on Fashion-MNIST: one comparison, its public page and a table for the docs.

    python benchmarks/five-routes/run.py            # about half an hour on two cores
    python benchmarks/five-routes/run.py --quick    # two routes of few builds; writes nothing

Needs Fashion-MNIST as `sudare data list` says. It writes docs/five-routes.md and the public page
of the run beside it; a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from sudare.audits.config import load_config, read_toml
from sudare.audits.environment import made_by
from sudare.cli.running import run_and_report
from sudare.core.findings import Finding
from sudare.core.progress import auto
from sudare.report.load import Run, load_run

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
PAGE = DOCS / "_static" / "five-routes-fashion-mnist.html"
QUICK = ("plain", "features")
COLUMNS = {
    "accuracy": "utility.accuracy",
    "worst class": "fairness.worst_class",
    "accuracy under attack, 2 of 255": "evasion.autoattack.accuracy@2",
    "8 of 255": "evasion.autoattack.accuracy@8",
    "MB": "cost.transfer_mb",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/five-routes"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    values = read_toml(str(HERE / "fashion-mnist.toml"))
    if options.quick:
        values["routes"] = [r for r in values["routes"] if r["kind"] in QUICK][:2]
        values["fleet"]["builds"] = 4
        values["checks"][-1] |= {"builds": 2, "steps": 2, "images": 8, "extractor_images": 2}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run" if options.quick else options.out
        run_and_report(load_config(values), out, cache=None, force=False, progress=auto())
        about = made_by("python benchmarks/five-routes/run.py", HERE)
        text = page(load_run(out), about, wall_s=time.monotonic() - start)
        if options.quick:
            print(text)
            return
        shutil.copyfile(out / "report-public.html", PAGE)
    (DOCS / "five-routes.md").write_text(text)


def page(run: Run, about: dict, *, wall_s: float) -> str:
    """What the documentation says of the run."""
    machine = about["machine"]
    head = ["release", "AUC", "TPR at 1 %", *COLUMNS]
    lines = [
        "# All five ways on Fashion-MNIST\n",
        "Every release is built from random halves of 1,000 images of clothes in ten classes, 8 "
        "times (4 pairs of complements), attacked, and asked what a recipient can do with it. "
        f"The whole page of the run is [here](_static/{PAGE.name}) (English and Japanese).\n",
        f"    {about['command']}\n",
        f"{machine['processor']}, {machine['cores']} cores; commit {about['commit']}; "
        f"{wall_s / 60:.0f} minutes; {about['date']}.\n",
        "| " + " | ".join(head) + " |",
        "| --- |" + " ---: |" * (len(head) - 1),
    ]
    for name in run.releases:
        attack = run.primary_attack(name)
        wanted = [f"{attack}.auc", f"{attack}.tpr@0.01", *COLUMNS.values()]
        cells = [cell(find(run, name, finding)) for finding in wanted]
        lines.append("| " + " | ".join([run.label(name), *cells]) + " |")
    lines += [
        "\nAUC and TPR at a false positive rate of 1 % are those of the attack that was declared "
        "primary before the run; intervals of 95 % over images and builds. *Accuracy under "
        "attack* counts a test image only if APGD-CE, targeted APGD, FAB-T and Square all fail "
        "on it (64 images a build, 10 steps, 2 targets; 4 images where the way leads through an "
        "extractor). A cell without a number could not be resolved by a run of this size.",
        "",
    ]
    return "\n".join(lines)


def find(run: Run, release: str, name: str) -> Finding | None:
    """A finding about all images, if there is one."""
    found = (f for f in run.findings if (f.release, f.id, f.group) == (release, name, ""))
    return next(found, None)


def cell(finding: Finding | None) -> str:
    if finding is None or finding.value is None:
        return "-"
    if finding.low is None or finding.high is None or finding.low == finding.high:
        return f"{finding.value:.3g}"
    return f"{finding.value:.3f} ({finding.low:.3f} to {finding.high:.3f})"


if __name__ == "__main__":
    main()
