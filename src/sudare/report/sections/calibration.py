"""Calibration: whether a release's models are right as often as they claim."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.figures import rate_of
from sudare.core.wording import say
from sudare.report.blocks import Cell, Table
from sudare.report.load import Run
from sudare.report.sections.base import Section, explained
from sudare.report.tables import number_cell

_ACCURACY = "calibration.accuracy@"


def sections(run: Run) -> Sequence[Section]:
    """One table over all releases; none where the check did not run."""
    names = [name for name in run.releases if run.get("calibration.brier", name) is not None]
    if not names:
        return []
    found = {item.id for item in run.findings if item.id.startswith(_ACCURACY)}
    ids = sorted(found, key=lambda name: rate_of(name) or 0.0)
    figures = ("calibration.brier", "utility.ece", "calibration.overconfidence", *ids)
    columns = [
        *(say(f"c_{name}") for name in ("release", "brier", "ece", "overconfidence")),
        *(say("c_sure", level=f"{100 * (rate_of(name) or 0.0):g}") for name in ids),
    ]
    rows = [
        (Cell(text=run.label(name)), *(number_cell(run.get(figure, name)) for figure in figures))
        for name in names
    ]
    table = Table(name="calibration", caption=say("s_calibration"), columns=columns, rows=rows)
    blocks = explained(say("p_calibration"), table)
    return [Section(name="calibration", title=say("s_calibration"), blocks=blocks)]
