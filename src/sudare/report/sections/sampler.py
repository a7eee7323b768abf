"""Released distributions of features: what leaves, its size, and what each attacker makes of it."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core import Finding
from sudare.core.wording import say
from sudare.report.blocks import Cell, Table
from sudare.report.formats import value_text
from sudare.report.load import Run
from sudare.report.sections.base import Section, explained
from sudare.report.tables import number_cell

_COLUMNS = ("release", "storage", "t0", "t1", "t2", "t3", "spread", "coverage")


def sections(run: Run) -> Sequence[Section]:
    """One table over all distributions of the run; none where the check did not run."""
    names = [name for name in run.releases if run.get("sampler.coverage", name) is not None]
    if not names:
        return []
    table = Table(
        name="sampler",
        caption=say("s_sampler"),
        columns=[say(f"c_{name}") for name in _COLUMNS],
        rows=[_row(run, name) for name in names],
    )
    blocks = explained(say("p_sampler"), table)
    return [Section(name="sampler", title=say("s_sampler"), blocks=blocks)]


def _row(run: Run, name: str) -> tuple[Cell, ...]:
    numbers = run.get("sampler.likelihood.auc", name) or run.get("sampler.latent.auc", name)
    return (
        Cell(text=run.label(name)),
        number_cell(run.get("cost.storage_mb", name)),
        _bounds(run, name),
        number_cell(run.get("sampler.nearest.auc", name)),
        number_cell(numbers),
        number_cell(run.leakage(name)),
        number_cell(run.get("sampler.variance_ratio", name)),
        number_cell(run.get("sampler.coverage", name)),
    )


def _bounds(run: Run, name: str) -> Cell:
    pair: list[Finding] = [
        found
        for rate in ("tpr", "fpr")
        if (found := run.get(f"sampler.bounds.{rate}", name)) is not None
    ]
    if len(pair) < 2:
        return Cell(text=say("none"))
    kind = "bad" if run.bounds_leak(name) else ""
    return Cell(text=" / ".join(value_text(found) for found in pair), kind=kind)
