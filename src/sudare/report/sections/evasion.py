"""Robustness: accuracy under attack and corruption, one row a release, and what was fooled."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.figures import rate_of
from sudare.report.load import Run
from sudare.report.pictures import embedded
from sudare.report.sections.base import Section, ShownImage
from sudare.report.tables import Cell, Table, number_cell
from sudare.report.text import say

__all__ = ["sections"]

_AUTO, _WIDTH_PX = "evasion.autoattack.accuracy@", 900


def sections(run: Run) -> Sequence[Section]:
    """One table over all releases; none where the check did not run."""
    names = [name for name in run.releases if run.get("evasion.clean.accuracy", name) is not None]
    if not names:
        return []
    ids = sorted({item.id for item in run.findings if item.id.startswith(_AUTO)}, key=_epsilon)
    columns = [
        say("c_release"),
        say("c_clean"),
        *(say("evasion_at", at=f"{_epsilon(name):g}") for name in ids),
        say("c_corrupted"),
        say("c_masking"),
    ]
    figures = ["evasion.clean.accuracy", *ids, "evasion.corruptions.accuracy", "evasion.masking"]
    rows = [
        (Cell(text=run.label(name)), *(number_cell(run.get(figure, name)) for figure in figures))
        for name in names
    ]
    images = [
        ShownImage(
            source=embedded(run, picture.file, _WIDTH_PX),
            caption=say("check_picture", label=run.label(picture.release), caption=picture.caption),
        )
        for picture in run.summary.pictures
        if picture.kind == "evasion"
    ]
    table = Table(name="evasion", caption=say("s_evasion"), columns=columns, rows=rows)
    return [
        Section(
            name="evasion",
            title=say("s_evasion"),
            text=say("p_evasion"),
            tables=[table],
            images=images,
            sheets=True,
        )
    ]


def _epsilon(name: str) -> float:
    return rate_of(name) or 0.0
