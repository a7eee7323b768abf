"""Sets of images: what leaves, as pictures, and what the images they started from give away."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.wording import say
from sudare.report.blocks import Cell, Table
from sudare.report.load import Run
from sudare.report.sections.base import Section, explained, pictures_of
from sudare.report.tables import number_cell

_KIND, _WIDTH_PX = "sets", 1000
_COLUMNS = ("release", "storage", "train_s", "started", "others", "closer")


def sections(run: Run) -> Sequence[Section]:
    """Contact sheets and one table; none where no release is a set of images."""
    names = [
        name
        for name in run.releases
        if run.get("copying.pixels.closer_to_members", name) is not None
    ]
    images = pictures_of(run, _KIND, largest=_WIDTH_PX)
    if not names and not images:
        return []
    table = Table(
        name="sets",
        caption=say("s_sets"),
        columns=[say(f"c_{name}") for name in _COLUMNS],
        rows=[_row(run, name) for name in names],
    )
    tables = [table] if names else []
    blocks = explained(say("p_sets") if images else "", *tables, images=images, sheets=True)
    return [Section(name="sets", title=say("s_sets"), blocks=blocks)]


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
