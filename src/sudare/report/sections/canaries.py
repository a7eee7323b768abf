"""Planted images: what attacks find of images that a net must remember."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sudare.core import Finding
from sudare.core.wording import say
from sudare.report.blocks import Cell, Folded, Paragraph, Points, Table
from sudare.report.load import Run
from sudare.report.sections.base import Section
from sudare.report.sections.findings import findings_table
from sudare.report.tables import number_cell, reading, severity
from sudare.report.text import attack_name, canary_name, planted


def sections(run: Run) -> Sequence[Section]:
    """What was planted, one table, and every figure folded; none where nothing was planted."""
    found = planted_images(run)
    if found is None:
        return []
    kinds = [
        say("p_planted", name=name, what=what) if what else say("p_planted_bare", name=name)
        for name, what in found.kinds
    ]
    blocks = [
        Paragraph(say("p_canaries")),
        Points(kinds),
        found.table,
        Folded(say("all_planted"), [findings_table(run, canaries=True)]),
    ]
    return [Section(name="canaries", title=say("h_canaries"), blocks=blocks, place="figures")]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What attacks found of planted images.

    Attributes:
        kinds: Name of each kind, and what it is.
        table: AUC and TPR of each attack, beside its AUC on the images nobody planted.
    """

    kinds: Sequence[tuple[str, str]]
    table: Table


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
        tools=True,
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
