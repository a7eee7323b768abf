"""Robustness: accuracy under attack and corruption, one row a release, and what was fooled."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
from markupsafe import Markup

from sudare.core.figures import rate_of
from sudare.core.wording import say
from sudare.report.blocks import Cell, Chart, Table
from sudare.report.drawing import INK, draw, looks, rows
from sudare.report.load import Run
from sudare.report.sections.base import Section, explained, pictures_of
from sudare.report.tables import number_cell

_AUTO, _CLEAN, _WIDTH_PX = "evasion.autoattack.accuracy@", "evasion.clean.accuracy", 900
_CHART_PX, _HIGH_PX = 520, 240


def sections(run: Run) -> Sequence[Section]:
    """One table over all releases; none where the check did not run."""
    names = [name for name in run.releases if run.get(_CLEAN, name) is not None]
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
    figures = [_CLEAN, *ids, "evasion.corruptions.accuracy", "evasion.masking"]
    rows = [
        (Cell(text=run.label(name)), *(number_cell(run.get(figure, name)) for figure in figures))
        for name in names
    ]
    images = pictures_of(run, "evasion", largest=_WIDTH_PX, key="check_picture")
    table = Table(name="evasion", caption=say("s_evasion"), columns=columns, rows=rows)
    charts = [Chart(_curves(run, names, ids))] if ids else []
    blocks = explained(say("p_evasion"), table, charts=charts, images=images, sheets=True)
    return [Section(name="evasion", title=say("s_evasion"), blocks=blocks)]


def _curves(run: Run, names: Sequence[str], ids: Sequence[str]) -> Markup:
    """Accuracy over the largest change, one line a release, numbered as in every chart."""
    styles = looks({name: run.is_baseline(name) for name in run.releases})
    numbers = {name: number for number, name in enumerate(run.releases, start=1)}
    ticks = alt.Axis(values=[0.0, *map(_epsilon, ids)], format="~g")
    x = alt.X("x:Q", title=say("evasion_x"), axis=ticks)
    y = alt.Y("y:Q", title=say("evasion_y"), scale=alt.Scale(domain=[0, 1]))
    layers: list[alt.Chart] = []
    for name in names:
        look = styles[name]
        found = {0.0: run.get(_CLEAN, name)} | {_epsilon(i): run.get(i, name) for i in ids}
        points = [
            {"x": at, "y": finding.value, "n": str(numbers[name])}
            for at, finding in found.items()
            if finding is not None and finding.value is not None
        ]
        base = alt.Chart(rows(points)).encode(x=x, y=y)
        layers += [
            base.mark_line(color=look.colour, strokeDash=list(look.dash), strokeWidth=1.6),
            base.mark_point(
                shape=look.shape, size=40, stroke=look.colour, fill=look.fill, opacity=1
            ),
            alt.Chart(rows(points[-1:]))
            .mark_text(align="left", dx=7, fontSize=10, color=INK)
            .encode(x=x, y=y, text="n:N"),
        ]
    chart = alt.layer(*layers).properties(width=_CHART_PX, height=_HIGH_PX)
    return draw(chart, name="evasion-curves", alt_text=say("evasion_alt"))


def _epsilon(name: str) -> float:
    return rate_of(name) or 0.0
