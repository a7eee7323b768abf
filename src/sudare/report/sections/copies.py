"""Are private images inside: near copies, what chance makes of them, what the search can find."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.wording import say
from sudare.report.blocks import Cell, Table
from sudare.report.formats import value_text
from sudare.report.load import Run
from sudare.report.sections.base import Section, explained
from sudare.report.tables import number_cell

_FIGURES = ("copies.near", "copies.phantoms", "copies.excess", "copies.power")


def sections(run: Run) -> Sequence[Section]:
    """One table, releases that hold copies first; none where no release holds images."""
    names = [name for name in run.releases if run.get(_FIGURES[0], name) is not None]
    if not names:
        return []
    names.sort(key=lambda name: not run.shows_members(name))
    rows = []
    for name in names:
        near, *others = (run.get(figure, name) for figure in _FIGURES)
        cell = number_cell(near)
        if near is not None and run.shows_members(name):
            cell = Cell(text=value_text(near), sort=cell.sort, kind="bad")
        exact = run.get("membership.copies.tpr", name)
        rows.append(
            (Cell(text=run.label(name)), number_cell(exact), cell, *map(number_cell, others))
        )
    columns = ("release", "copies_exact", "copies_near", "copies_phantoms", "copies_excess")
    table = Table(
        name="copies",
        caption=say("s_copies"),
        columns=[*(say(f"c_{name}") for name in columns), say("c_copies_power")],
        rows=rows,
    )
    blocks = explained(say("p_copies"), table)
    return [Section(name="copies", title=say("s_copies"), blocks=blocks)]
