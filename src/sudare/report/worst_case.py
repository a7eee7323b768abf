"""Beyond the average: the most exposed, rare members, single classes and planted images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sudare.core import Finding
from sudare.report.load import Run
from sudare.report.tables import Cell, Table, number_cell, reading, severity
from sudare.report.text import attack_name, canary_name, explained, planted, say, worded

_EXPOSURE = ("worst_case", "exposed_10x", "precision@0.01", "exposure_stability", "trace_precision")


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What attacks found of planted images.

    Attributes:
        kinds: Name of each kind, and what it is.
        table: AUC and TPR of each attack, beside its AUC on the images nobody planted.
    """

    kinds: Sequence[tuple[str, str]]
    table: Table


def glossary(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """What the figures of a table mean, each once."""
    found = (explained(finding.id) for finding in findings)
    return list(dict.fromkeys(item for item in found if item is not None))


def exposure_table(run: Run) -> Table | None:
    """The most exposed images and rare members, a row for each release; None without any."""
    found = {
        name: [run.get(f"{run.primary_attack(name)}.{leaf}", name) for leaf in _EXPOSURE]
        for name in run.releases
    }
    if not any(
        item is not None and item.value is not None for row in found.values() for item in row
    ):
        return None
    kept = [i for i, _ in enumerate(_EXPOSURE) if any(row[i] is not None for row in found.values())]
    rows = [
        (Cell(text=run.label(name)), *(_with_part(run, row[i]) for i in kept))
        for name, row in found.items()
        if any(item is not None for item in row)
    ]
    heads = [say(f"c_{_EXPOSURE[i].partition('@')[0]}") for i in kept]
    columns = [say("c_release"), *heads]
    caption = worded("cap_beyond", run.summary.mode)
    return Table(name="beyond", caption=caption, columns=columns, rows=rows)


def exposure_findings(run: Run) -> list[Finding]:
    """The findings behind the exposure table."""
    ids = {
        f"{run.primary_attack(name)}.{leaf}": leaf for name in run.releases for leaf in _EXPOSURE
    }
    found = [finding for finding in run.findings if finding.id in ids and not finding.group]
    return sorted(found, key=lambda finding: _EXPOSURE.index(ids[finding.id]))


def groups_table(run: Run) -> Table | None:
    """Leakage and recall of each class and group, highest leakage first; None without any."""
    leakage = [
        finding
        for finding in run.findings
        if finding.group and finding.id == f"{run.primary_attack(finding.release)}.auc"
    ]
    if not leakage:
        return None
    rows = []
    for finding in sorted(leakage, key=severity):
        read, kind = reading(finding)
        recall = run.get("utility.recall", finding.release, finding.group)
        rows.append(
            (
                Cell(text=finding.group),
                Cell(text=run.label(finding.release)),
                number_cell(finding),
                Cell(text=read, kind=kind),
                # Groups that are no classes have none.
                number_cell(recall) if recall is not None else Cell(text=""),
            )
        )
    columns = [say(f"c_{name}") for name in ("group", "release", "auc", "reading", "recall")]
    return Table(name="groups", caption=say("cap_groups"), columns=columns, rows=rows)


def planted_images(run: Run) -> Planted | None:
    """AUC and TPR on canaries, each beside the same attack's AUC on the pool; None without any."""
    aucs = sorted(_canary_aucs(run), key=severity)
    if not aucs:
        return None
    kinds = dict.fromkeys(finding.id.split(".")[1] for finding in aucs)
    rows = [_planted_row(run, finding) for finding in aucs if finding.value is not None]
    columns = ("planted", "attack", "release", "auc", "reading", "tpr10", "tpr", "pool_auc")
    table = Table(
        name="canaries",
        caption=say("cap_canaries"),
        columns=[say(f"c_{name}") for name in columns],
        rows=rows,
    )
    named = [(canary_name(kind), planted(kind)) for kind in kinds]
    return Planted(kinds=named, table=table.without_empty())


def _canary_aucs(run: Run) -> Iterator[Finding]:
    for finding in run.findings:
        parts = finding.id.split(".")
        if parts[0] == "canaries" and len(parts) == 4 and parts[3] == "auc":
            yield finding


def _planted_row(run: Run, finding: Finding) -> Sequence[Cell]:
    _, kind, attack, _ = finding.id.split(".")
    read, style = reading(finding)
    stem, release = finding.id.removesuffix(".auc"), finding.release
    return (
        Cell(text=canary_name(kind)),
        Cell(text=attack_name(f"membership.{attack}")),
        Cell(text=run.label(release)),
        number_cell(finding),
        Cell(text=read, kind=style),
        number_cell(run.get(f"{stem}.tpr@0.1", release)),
        number_cell(run.get(f"{stem}.tpr@0.01", release)),
        number_cell(run.get(f"membership.{attack}.auc", release)),
    )


def _with_part(run: Run, finding: Finding | None) -> Cell:
    """A number; of the most exposed also how many these are."""
    cell = number_cell(finding)
    part = "" if finding is None or finding.value is None else run.part(finding)
    if not part:
        return cell
    small = say("range_of", range=cell.small, part=part) if cell.small else part
    return Cell(text=cell.text, small=small, sort=cell.sort, kind=cell.kind)
