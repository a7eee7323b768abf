"""Beyond the average: the most exposed images, and attackers who know that members are rare."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core import Finding
from sudare.core.wording import say
from sudare.report.blocks import Cell, Folded, Meanings, Paragraph, Table
from sudare.report.load import Run
from sudare.report.sections.base import Section
from sudare.report.tables import glossary, number_cell
from sudare.report.text import worded

_EXPOSURE = ("worst_case", "exposed_10x", "precision@0.01", "exposure_stability", "trace_precision")


_MOST_ROWS = 3
"""Of a longer table only the caption is seen until it is unfolded."""


def sections(run: Run) -> Sequence[Section]:
    """One table and what its figures mean; none where none was measured."""
    table = exposure_table(run)
    if table is None:
        return []
    blocks = [
        Paragraph(worded("p_worst_case", run.summary.mode)),
        Folded(
            table.caption,
            [table, Meanings(glossary(exposure_findings(run)))],
            opened=len(table.rows) <= _MOST_ROWS,
        ),
    ]
    title = say("h_worst_case")
    return [Section(name="worst_case", title=title, blocks=blocks, place="figures")]


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
    caption = worded("cap_worst_case", run.summary.mode)
    return Table(name="worst_case", caption=caption, columns=columns, rows=rows)


def exposure_findings(run: Run) -> list[Finding]:
    """The findings behind the exposure table."""
    ids = {
        f"{run.primary_attack(name)}.{leaf}": leaf for name in run.releases for leaf in _EXPOSURE
    }
    found = [finding for finding in run.findings if finding.id in ids and not finding.group]
    return sorted(found, key=lambda finding: _EXPOSURE.index(ids[finding.id]))


def _with_part(run: Run, finding: Finding | None) -> Cell:
    """A number; of the most exposed also how many these are."""
    cell = number_cell(finding)
    part = "" if finding is None or finding.value is None else run.part(finding)
    if not part:
        return cell
    small = say("range_of", range=cell.small, part=part) if cell.small else part
    return Cell(text=cell.text, small=small, sort=cell.sort, kind=cell.kind)
