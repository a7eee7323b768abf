"""Fairness: classes side by side, against plain and against real images, and who pays."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.wording import say
from sudare.report.blocks import Cell, Table
from sudare.report.load import Run, interval
from sudare.report.sections.base import Section, explained
from sudare.report.tables import number_cell

_GAP = "fairness.class_gap"
_COLUMNS = (
    "release",
    "utility",
    "worst_class",
    "gap",
    "against_plain",
    "matched_gap",
    "against_subset",
    "exposed_class",
)


def sections(run: Run) -> Sequence[Section]:
    """One table over all releases; none where the check did not run."""
    names = [name for name in run.releases if run.get(_GAP, name) is not None]
    if not names:
        return []
    plain, subset = (_first(run, route) for route in ("plain", "subset"))
    table = Table(
        name="fairness",
        caption=say("s_fairness"),
        columns=[say(f"c_{name}") for name in _COLUMNS],
        rows=[_row(run, name, plain, subset) for name in names],
    )
    blocks = explained(say("p_fairness"), table)
    return [Section(name="fairness", title=say("s_fairness"), blocks=blocks)]


def _first(run: Run, route: str) -> str:
    """The first release of a route, or nothing."""
    return next((name for name, known in run.releases.items() if known.route == route), "")


def _row(run: Run, name: str, plain: str, subset: str) -> tuple[Cell, ...]:
    return (
        Cell(text=run.label(name)),
        number_cell(run.utility(name)),
        number_cell(run.get("fairness.worst_class", name)),
        number_cell(run.get(_GAP, name)),
        _against(run, name, plain),
        number_cell(run.get("fairness.amplification", name)),
        _against(run, name, subset),
        _told_best(run, name),
    )


def _against(run: Run, name: str, other: str) -> Cell:
    """Whether the gap is wider than another release's, where their intervals are apart."""
    mine, theirs = interval(run.get(_GAP, name)), interval(run.get(_GAP, other))
    if name == other or mine is None or theirs is None:
        return Cell(text=say("none"))
    by = f"{abs(mine.value - theirs.value):.2f}"
    if mine.low > theirs.high:
        return Cell(text=say("fair_wider", by=by), kind="bad")
    if mine.high < theirs.low:
        return Cell(text=say("fair_narrower", by=by))
    return Cell(text=say("fair_same"), kind="na")


def _told_best(run: Run, name: str) -> Cell:
    """The class or group whose members the primary attack tells best."""
    attack = f"{run.primary_attack(name)}.auc"
    own = [
        item
        for item in run.findings
        if item.id == attack and item.release == name and item.group and item.value is not None
    ]
    if not own:
        return Cell(text=say("none"))
    most = max(own, key=lambda item: item.value or 0.0)
    cell = number_cell(most)
    return Cell(text=f"{most.group}: {cell.text}", small=cell.small, sort=cell.sort, kind="num")
