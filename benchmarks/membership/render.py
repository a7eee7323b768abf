"""Writes README.md of the membership benchmarks from their result files.

python benchmarks/membership/render.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TOOLS = {
    "ours": "Sudare",
    "leakpro": "LeakPro",
    "privacy_meter": "Privacy Meter",
    "art": "ART",
}
GIVEN = {
    "ours": "two worker processes of one thread, their start included; constant rate; generated "
    "code, which the first run writes and later ones load",
    "leakpro": "its shadow handler in one process with torch's two threads; constant rate; the "
    "loop of its own examples",
    "privacy_meter": "its own training of model pairs in one process with two threads; its own "
    "schedule, peaking near five times the others' rate",
    "art": "its ShadowModels in one process with two threads; constant rate",
}
ATTACKS = {
    "lira_s": "LiRA online",
    "rmia_s": "RMIA online",
    "rmia_offline_s": "RMIA offline, a given",
    "rmia_offline_tuned_s": "RMIA offline, a tuned",
    "shokri_s": "shadow classifier, logistic regression",
    "shokri_nn_s": "shadow classifier, its default net",
}


def main() -> None:
    parts = ["# Membership benchmarks\n", "Written by `render.py` from the files beside it.\n"]
    renders = {
        "peers": peers,
        "attack_step": attack_step,
        "fleet": fleet,
        "lanes": lanes,
        "checkpoints": checkpoints,
        "coverage": coverage,
    }
    for name, render in renders.items():
        path = HERE / f"{name}.json"
        if path.exists():
            result = json.loads(path.read_text())
            parts += render(result)
    (HERE / "README.md").write_text("\n".join(parts) + "\n")


def about(result: dict[str, Any]) -> str:
    on = result["machine"]
    return (
        f"`{result['command']}`, {result['date']}, {on['processor']}, {on['cores']} cores, torch "
        f"{result['versions']['torch']}.\n"
    )


def peers(result: dict[str, Any]) -> Iterator[str]:
    """Fleet, attack step, memory, agreement."""
    tools = result["tools"]
    task = tools["ours"]["task"]
    ours = tools["ours"]
    yield "## Side by side with other tools\n"
    yield about(result)
    yield (
        f"Fashion-MNIST, {task['pool']:,} images, {task['builds']} shadow builds of half of them, "
        f"ConvNet-3 of width 16, {task['epochs']} epochs, batch {task['batch']}; each tool as "
        f"published, alone on the machine, median of {ours['runs']} runs. The fleet is training "
        "and the signals an attack needs.\n"
    )
    yield (
        "| tool | version | fleet, s | each run | against ours | accuracy, held out | "
        "peak memory, MB |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    version = {
        **{name: f"commit {commit}" for name, commit in result["commits"].items()},
        "ours": result["versions"]["sudare"],
        "art": result["versions"]["art"],
    }
    for name, tool in tools.items():
        each = ", ".join(f"{run['fleet_s']:.0f}" for run in result["runs"][name])
        yield (
            f"| {TOOLS[name]} | {version[name]} | {tool['fleet_s']:.1f} | "
            f"{each} | "
            f"{tool['fleet_s'] / ours['fleet_s']:.1f} | {tool['accuracy']:.3f} | "
            f"{tool['peak_mb']:.0f} |"
        )
    yield f"\nAccuracies lie within {result['alike']:.0%} of each other, or nothing is written.\n"
    yield from (f"- **{TOOLS[name]}**: {GIVEN[name]}." for name in tools)
    yield "\nThe attack step, for 1,000 scores (a target and an image each):\n"
    yield "| attack | tool | targets | s | ms for 1,000 scores | against ours |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for key, label in ATTACKS.items():
        base = ours.get(key) or ours[key.replace("_tuned", "").replace("_nn", "")]
        each = base / ours["targets"] / task["pool"]
        for name, tool in tools.items():
            if key not in tool:
                continue
            own = tool[key] / tool["targets"] / tool.get("images", task["pool"])
            yield (
                f"| {label} | {TOOLS[name]} | {tool['targets']} | {tool[key]:.4g} | "
                f"{own * 1e6:.4g} | {own / each:.1f} |"
            )
    yield from steps(result["steps"])
    yield "\nThe same signals, scored by both:\n"
    for name, found in result["agreement"].items():
        for one in found.values() if "attack" not in found else [found]:
            facts = "; ".join(f"{k}: {said(v)}" for k, v in one.items() if k not in {"attack"})
            yield f"- **{TOOLS[name]}, {one['attack']}**: {facts}."
    yield ""


def steps(found: dict[str, Any]) -> Iterator[str]:
    """Both on the same drawn signals; ours scores every build in one call."""
    yield "\nThe attack step by itself on drawn signals, every build a target once:\n"
    yield (
        "| attack | builds, images, population | theirs, s a target | theirs, s all targets | "
        "ours, s all targets | times faster |"
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    for label, size, theirs, ours in (
        ("LiRA online, LeakPro", "lira", "lira leakpro", "lira ours"),
        ("RMIA offline, Privacy Meter", "rmia", "rmia privacy_meter", "rmia ours"),
    ):
        builds, images, population = found["sizes"][size]
        every = found[theirs] * builds
        yield (
            f"| {label} | {builds}, {images:,}, {population:,} | {found[theirs]:.3g} | "
            f"{every:.3g} | {found[ours]:.3g} | {every / found[ours]:.0f} |"
        )
    yield (
        f"\nLargest relative difference of LiRA's scores {found['agree']['lira']:.1g}; "
        f"correlation of RMIA's shares {found['agree']['rmia']:.4f} (cause below). Without "
        f"counting population images, which one query does not need to rank, ours takes "
        f"{found['rmia ranking ours']:.3g} s.\n"
    )


def said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {said(part)}" for key, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def attack_step(result: dict[str, Any]) -> Iterator[str]:
    """One row for each test."""
    yield "## The attack step on a large table\n"
    yield about(result)
    yield (
        f"{result['builds']} builds, {result['images']:,} images, 2 queries, "
        f"{result['population']:,} population images; {result['table_mb']:.0f} MB in a mapped "
        "file. Every build is a target, its complement is left out. The scores that come out "
        f"are {result['builds'] * result['images'] * 8 / 2**20:.0f} MB.\n"
    )
    rows = {row["test"]: row for row in result["rows"]}
    loop, read = rows["loop"]["s"], rows["read"]["s"]
    yield "| test | s | against a loop over targets | against reading once | peak memory, MB |"
    yield "| --- | --- | --- | --- | --- |"
    for name, row in rows.items():
        label = {"read": "reading the file once", "loop": "LiRA as a loop over targets"}.get(name)
        more = row["peak_mb"] - row["before_mb"]
        yield (
            f"| {label or name} | {row['s']:.3g} | {loop / row['s']:.1f} times faster | "
            f"{row['s'] / read:.1f} | {row['peak_mb']:.0f} ({more:.0f} more than before) |"
        )
    yield ""


def fleet(result: dict[str, Any]) -> Iterator[str]:
    """Throughput of each layout against the convolutions alone, and the parts of a step."""
    yield "## Training small nets\n"
    yield about(result)
    yield (
        "Images a second, forward and backward, all processes together; the ceiling is the net's "
        "convolutions alone.\n"
    )
    yield "| net | work | layout | images a second | of the ceiling | of the plain loop |"
    yield "| --- | --- | --- | --- | --- | --- |"
    rates = {(r["width"], r["layout"], r["work"]): r["images_s"] for r in result["rows"]}
    names = {
        "plain": "plain loop",
        "eager": "ours, eager",
        "ours": "ours, generated code",
        "convolutions": "convolutions alone",
    }
    for (width, layout, work), rate in rates.items():
        ceiling, loop = (rates[width, layout, other] for other in ("convolutions", "plain"))
        yield (
            f"| ConvNet-3, width {width} | {names[work]} | {layout} | {rate:,.0f} | "
            f"{rate / ceiling:.0%} | {rate / loop:.2f} |"
        )
    yield "\nParts of an eager step, one thread:\n"
    for width, parts in result["stages"].items():
        yield f"- width {width}: " + ", ".join(f"{k} {v:.0%}" for k, v in parts.items())
    yield ""


def lanes(result: dict[str, Any]) -> Iterator[str]:
    """Builds a minute on a GPU, a table for each net."""
    rows = result["rows"]
    yield "## Several nets at once on a GPU\n"
    yield (
        f"{result['gpu']}, commit {result['commit']}; {about(result)}\n"
        "5,000 images of Fashion-MNIST, 5 epochs of batch 64. *Against the plain loop* is builds a "
        "minute over those of what a tutorial writes, in the same run; *first epoch* holds what a "
        "process does once (generating code). Accuracy on 5,000 other images is the mean of up "
        "to four nets.\n"
    )
    yield result.get("cut", "") + "\n"
    for net, width in dict.fromkeys((row["net"], row["width"]) for row in rows):
        own = [row for row in rows if (row["net"], row["width"]) == (net, width)]
        base = next(row for row in own if row["way"] == "plain")["builds_a_minute"]
        yield f"### {net} of width {width}\n"
        yield (
            "| loop | nets at once | arithmetic | code | builds a minute | against the plain loop "
            "| accuracy | first epoch, s |"
        )
        yield "| --- | ---: | --- | --- | ---: | ---: | ---: | ---: |"
        for row in own:
            code = {"on": "generated", "off": "torch's"}[row["compiled"]]
            yield (
                f"| {row['way']} | {row['lanes']} | {row['precision']} | {code} | "
                f"{row['builds_a_minute']:.0f} | {row['builds_a_minute'] / base:.1f} | "
                f"{row['accuracy']:.3f} | {row['first_epoch_s']:.1f} |"
            )
        yield ""
    if result["equal"]:
        said = ", ".join(
            f"{net}: {'yes' if same else 'no'}" for net, same in result["equal"].items()
        )
        yield f"A net of sixteen is the same to the last bit as alone: {said}.\n"


def checkpoints(result: dict[str, Any]) -> Iterator[str]:
    """A table for each number of builds, and what was expected."""
    from checkpoints import EXPECTED

    yield "## Published findings on Fashion-MNIST\n"
    yield about(result)
    accuracy = result["accuracy"]
    yield (
        f"Plain ConvNet-3 of width 16 on {result['images'] // 2:,} images: training accuracy "
        f"{accuracy['utility.train_accuracy']:.3f}, held out "
        f"{accuracy['utility.heldout_accuracy']:.3f}.\n"
    )
    yield "| attack | builds | AUC | TPR at 1 % | TPR at 0.1 % |"
    yield "| --- | --- | --- | --- | --- |"
    for row in result["rows"]:
        cells = " | ".join(interval(row[key]) for key in ("auc", "tpr1", "tpr"))
        yield f"| {row['attack']} | {row['builds']} | {cells} |"
    yield "\n| expected | figure | builds | larger | smaller | outcome |"
    yield "| --- | --- | --- | --- | --- | --- |"
    found = {(row["attack"], row["builds"]): row for row in result["rows"]}
    for text, figure, larger, smaller, builds in EXPECTED:
        one, two = found[larger, builds][figure], found[smaller, builds][figure]
        outcome = "not resolved"
        if one["low"] > two["high"]:
            outcome = "holds"
        elif one["high"] < two["low"]:
            outcome = "is reversed"
        name = {"tpr": "TPR at 0.1 %", "auc": "AUC"}[figure]
        yield (
            f"| {text} | {name} | {builds} | {larger}: {interval(one)} | {smaller}: "
            f"{interval(two)} | {outcome} |"
        )
    yield ""


def interval(found: dict[str, float]) -> str:
    return f"{found['value']:.4f} ({found['low']:.4f} to {found['high']:.4f})"


def coverage(result: dict[str, Any]) -> Iterator[str]:
    """Share of audits whose interval held the truth."""
    rows = [row for row in result["rows"] if row["table"] == "intervals"]
    inside = sum(0.93 <= row["share"] <= 0.97 for row in rows)
    over = sum(row["share"] > 0.97 for row in rows)
    audits = max(row["audits"] for row in rows)
    yield "## Coverage of intervals\n"
    yield about(result)
    yield (
        f"{audits:,} simulated audits a row, {result['builds']} builds of {result['images']} "
        "images, truth known. Nominal coverage is 95 %. Of "
        f"{len(rows)} rows {inside} cover in 93 to 97 %, {over} in more, "
        f"{len(rows) - inside - over} in less.\n"
    )
    figures = list(dict.fromkeys(row["figure"] for row in rows))
    heads = [figure for figure in figures if figure in {r["figure"] for r in rows}]
    yield "| scenario | test | " + " | ".join(heads) + " |"
    yield "| --- | --- |" + " --- |" * len(heads)
    keys = list(dict.fromkeys((row["scenario"], row["test"]) for row in rows))
    for scenario, test in keys:
        found = {r["figure"]: r for r in rows if (r["scenario"], r["test"]) == (scenario, test)}
        cells = [f"{found[h]['share']:.1%}" if h in found else "" for h in heads]
        yield f"| {scenario} | {test} | " + " | ".join(cells) + " |"
    few = [row for row in result["rows"] if row["table"] == "few"]
    if few:
        yield "\n### Few units, few builds, ties\n"
        yield (
            f"{few[0]['audits']:,} audits a row, nominal 95 %. The first rows are why fewer than "
            "30 units a side are unresolvable; rows of 4 builds why the report says that such "
            "intervals are too short. An unresolved figure is printed as such.\n"
        )
        yield "| scenario | scores | figure | resolved | covers | mean width |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for row in few:
            covers = f"{row['share']:.1%}" if row["resolved"] else ""
            yield (
                f"| {row['scenario']} | {row['test']} | {row['figure']} | {row['resolved']:.0%} | "
                f"{covers} | {row['width']:.3f} |"
            )
    yield "\nHow often a bound on epsilon is above 0 for worthless scores (at most 5 %):\n"
    for row in result["rows"]:
        if row["table"] == "epsilon":
            yield f"- {row['test']}: {row['share']:.1%} of {row['audits']:,}"
    yield ""


if __name__ == "__main__":
    main()
