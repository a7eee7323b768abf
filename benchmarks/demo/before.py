"""The demo as it was before trainings ran as generated code: by the code of then and of now.

    python benchmarks/demo/before.py                  # ten to twenty minutes, nothing else running
    python benchmarks/demo/before.py --preset smoke   # seconds; writes nothing

Today's demo compares three times as many releases, so the configuration is that of then (six
releases of the chest X-rays, 16 builds each) for both. Each starts with an empty cache: the code of
now generates what it runs, as on a new user's machine. Both run in this Python's environment.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sudare.audits.environment import made_by

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS, PAGE = HERE / "before.json", HERE / "BEFORE.md"
BEFORE = "2241f2e"
"""The commit before the one that compiled trainings (e454729)."""
SHOWN = ("utility.accuracy", "membership.rmia.auc", "membership.rmia_offline.auc")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="demo")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        then = folder / "then"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(then)], check=True)
        subprocess.run(["git", "-C", str(then), "checkout", "-q", BEFORE], check=True)
        preset = then / "src" / "sudare" / "presets" / f"{options.preset}.toml"
        runs = {
            "then": run(then / "src", preset, folder / "a"),
            "now": run(ROOT / "src", preset, folder / "b"),
        }
    result = {"runs": runs, **made_by("python benchmarks/demo/before.py", HERE)}
    print(json.dumps(result, indent=1))
    if options.preset == "demo":
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
        PAGE.write_text(render(result))


def run(source: Path, preset: Path, folder: Path) -> dict:
    """One run from an empty cache: seconds on the clock and of processors, and what it found."""
    environment = {**os.environ, "PYTHONPATH": str(source), "SUDARE_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "sudare", "compare", "--config", str(preset)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run([*command, "--out", str(folder / "run")], env=environment, check=True)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    written = json.loads((folder / "run" / "findings.json").read_text())
    found = {
        finding["release"]: {}
        for finding in written["findings"]
        if finding["id"] == SHOWN[0] and not finding["group"]
    }
    for finding in written["findings"]:
        if finding["id"] in SHOWN and not finding["group"]:
            row = [finding["value"], finding["low"], finding["high"]]
            found[finding["release"]][finding["id"]] = row
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "found": found}


def render(result: dict) -> str:
    then, now = result["runs"]["then"], result["runs"]["now"]
    lines = [
        "# The demo before trainings ran as generated code, and now\n",
        f"`{result['command']}`, {result['date']}, {result['machine']['processor']}, "
        f"{result['machine']['cores']} cores, commit {result['commit']} against {BEFORE}. The six "
        "releases of the demo of then, 16 builds each, from an empty cache, one after the other.\n",
        "| code | seconds | processor seconds |",
        "| --- | ---: | ---: |",
        f"| then | {then['wall_s']:.0f} | {then['cpu_s']:.0f} |",
        f"| now | {now['wall_s']:.0f} | {now['cpu_s']:.0f} |",
        f"| then over now | {then['wall_s'] / now['wall_s']:.2f} | "
        f"{then['cpu_s'] / now['cpu_s']:.2f} |",
        "",
        "| release | figure | then | now |",
        "| --- | --- | --- | --- |",
    ]
    for release, figures in then["found"].items():
        for figure, old in figures.items():
            new = now["found"].get(release, {}).get(figure)
            lines.append(f"| {release} | `{figure}` | {said(old)} | {said(new)} |")
    return "\n".join(lines) + "\n"


def said(row: list | None) -> str:
    if row is None or row[0] is None:
        return "n/a"
    return f"{row[0]:.3f} ({row[1]:.3f} to {row[2]:.3f})"


if __name__ == "__main__":
    main()
