"""The attacker without the pipeline beside the one who repeats it, and accuracy over privacy."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.wording import say
from sudare.report.blocks import Cell, Table
from sudare.report.load import Run, interval
from sudare.report.sections.base import Section, explained
from sudare.report.tables import number_cell

_AUC = "outsider.auc"
_COLUMNS = ("release", "utility", "outsider", "whole", "missed", "aop")


def sections(run: Run) -> Sequence[Section]:
    """One table over all releases; none where the check did not run."""
    names = [name for name in run.releases if run.get(_AUC, name) is not None]
    if not names:
        return []
    table = Table(
        name="outsider",
        caption=say("s_outsider"),
        columns=[say(f"c_{name}") for name in _COLUMNS],
        rows=[_row(run, name) for name in names],
    )
    blocks = explained(say("p_outsider"), table)
    return [Section(name="outsider", title=say("s_outsider"), blocks=blocks)]


def _row(run: Run, name: str) -> tuple[Cell, ...]:
    primary = run.primary_attack(name)
    return (
        Cell(text=run.label(name)),
        number_cell(run.utility(name)),
        number_cell(run.get(_AUC, name)),
        number_cell(run.get(f"{primary}.auc", name)),
        _missed(run, name, f"{primary}.auc"),
        number_cell(run.get(f"{primary}.aop", name)),
    )


def _missed(run: Run, name: str, whole: str) -> Cell:
    """How much more the whole pipeline finds, where their intervals are apart."""
    without, within = interval(run.get(_AUC, name)), interval(run.get(whole, name))
    if without is None or within is None:
        return Cell(text=say("none"))
    if within.low > without.high:
        return Cell(text=say("missed_by", by=f"{within.value - without.value:.2f}"), kind="bad")
    return Cell(text=say("missed_none"), kind="na")
