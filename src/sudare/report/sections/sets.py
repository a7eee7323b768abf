"""Sets of images: what leaves, as pictures, and what the images they started from give away."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.report.load import Run
from sudare.report.pictures import embedded
from sudare.report.sections.base import Section, ShownImage
from sudare.report.tables import Cell, Table, number_cell
from sudare.report.text import say

_KIND, _WIDTH_PX = "sets", 1000
_COLUMNS = ("release", "storage", "train_s", "started", "others", "closer")


def sections(run: Run) -> Sequence[Section]:
    """Contact sheets and one table; none where no release is a set of images."""
    names = [
        name
        for name in run.releases
        if run.get("copying.pixels.closer_to_members", name) is not None
    ]
    images = [
        ShownImage(
            source=embedded(run, picture.file, _WIDTH_PX),
            caption=run.label(picture.release),
        )
        for picture in run.summary.pictures
        if picture.kind == _KIND
    ]
    if not names and not images:
        return []
    table = Table(
        name="sets",
        caption=say("s_sets"),
        columns=[say(f"c_{name}") for name in _COLUMNS],
        rows=[_row(run, name) for name in names],
    )
    return [
        Section(
            name="sets",
            title=say("s_sets"),
            text=say("p_sets") if images else "",
            tables=[table] if names else [],
            images=images,
            sheets=True,
        )
    ]


def _row(run: Run, name: str) -> tuple[Cell, ...]:
    attack = run.primary_attack(name)
    started = run.get(f"{attack}.init_auc", name)
    others = run.get(f"{attack}.other_auc", name)
    return (
        Cell(text=run.label(name)),
        number_cell(run.get("cost.storage_mb", name)),
        number_cell(run.get("cost.recipient_train_s", name)),
        number_cell(started) if started is not None else Cell(text=say("none")),
        number_cell(others) if others is not None else Cell(text=say("none")),
        number_cell(run.get("copying.pixels.closer_to_members", name)),
    )
