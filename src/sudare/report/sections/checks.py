"""A section for each check that no section of its own shows: its figures and its pictures."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.wording import say
from sudare.report.blocks import Cell, Table
from sudare.report.load import Run
from sudare.report.sections.base import SECTIONS, Section, explained, pictures_of
from sudare.report.tables import number_cell, reading, severity
from sudare.report.text import check_name


def sections(run: Run) -> Sequence[Section]:
    """One section a check that ran, in the order of the configuration."""
    # A section that is named as a check shows that check itself.
    shown = ((kind, label) for kind, label in run.summary.checks.items() if kind not in SECTIONS)
    found = (_section(run, kind, label) for kind, label in shown)
    return [section for section in found if section is not None]


def _section(run: Run, kind: str, label: str) -> Section | None:
    name = check_name(kind, label)
    findings = sorted(
        (item for item in run.findings if item.id.startswith(f"{kind}.")), key=severity
    )
    images = pictures_of(run, kind, largest=480, key="check_picture")
    if not findings and not images:
        return None
    rows = []
    for finding in findings:
        read, style = reading(finding)
        rows.append(
            (
                Cell(text=run.named(finding), small=finding.group),
                Cell(text=run.label(finding.release)),
                number_cell(finding),
                Cell(text=read, kind=style),
            )
        )
    columns = [say(f"c_{column}") for column in ("finding", "release", "value", "reading")]
    table = Table(name=f"check-{kind}", caption=name, columns=columns, rows=rows)
    return Section(
        name=f"check-{kind}",
        title=name[:1].upper() + name[1:],
        blocks=explained("", *([table] if rows else []), images=images),
    )
