"""Model inversion: what attack images show of the private classes, beside the controls."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core import Finding
from sudare.core.wording import say, together
from sudare.report.blocks import Cell, Table
from sudare.report.formats import value_text
from sudare.report.load import Run
from sudare.report.sections.base import Section, explained, pictures_of
from sudare.report.tables import number_cell

_WIDTH_PX, _FEW_CLASSES = 900, 5
_FIGURES = (
    "top1",
    "top5",
    "distance",
    "extraction",
    "identity_error",
    "first_top1",
    "coverage",
    "near",
)
_CONTROLS = {
    "inv_random": ("random_top1", "", "random_distance", "", "", "", ""),
    "inv_prior": ("", "", "prior_distance", "", "guess_identity_error", "", ""),
    "inv_real": ("real_top1", "", "real_distance", "evaluator_accuracy", "real_identity_error"),
}


def sections(run: Run) -> Sequence[Section]:
    """One table with its controls and the pictures; none where the check did not run."""
    names = [name for name in run.releases if run.get("inversion.top1", name) is not None]
    if not names:
        return []
    rows = [
        (
            Cell(text=run.label(name)),
            number_cell(run.utility(name)),
            *(_cell(run.get(f"inversion.{figure}", name)) for figure in _FIGURES),
        )
        for name in names
    ]
    rows += [_control(run, names[0], key, figures) for key, figures in _CONTROLS.items()]
    columns = [say("c_release"), say("c_utility"), *(say(f"c_inv_{name}") for name in _FIGURES)]
    images = pictures_of(run, "inversion", largest=_WIDTH_PX, key="check_picture")
    table = Table(name="inversion", caption=say("s_inversion"), columns=columns, rows=rows)
    text = say("p_inversion")
    if len(run.summary.data.class_names) < _FEW_CLASSES:
        text = together([text, say("p_inversion_few")])
    blocks = explained(text, table, images=images, sheets=True)
    return [Section(name="inversion", title=say("s_inversion"), blocks=blocks)]


def _cell(finding: Finding | None) -> Cell:
    return Cell(text=say("none")) if finding is None else number_cell(finding)


def _control(run: Run, name: str, key: str, figures: Sequence[str]) -> tuple[Cell, ...]:
    found = [run.get(f"inversion.{figure}", name) if figure else None for figure in figures]
    found += [None] * (len(_FIGURES) - len(found))
    cells = [
        Cell(text=say("none") if finding is None else value_text(finding), kind="na")
        for finding in found
    ]
    return (Cell(text=say(key), kind="na"), Cell(text=say("none"), kind="na"), *cells)
