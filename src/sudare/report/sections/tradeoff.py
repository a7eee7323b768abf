"""The chart of the whole report: leakage against utility, one mark per release."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import altair as alt
from markupsafe import Markup

from sudare.core.runs import Mode
from sudare.core.wording import listed, say
from sudare.report.blocks import Chart, Charts, Paragraph
from sudare.report.drawing import BAD, INK, Look, draw, looks, rows, swatch
from sudare.report.formats import short_estimate
from sudare.report.load import Interval, Run, interval
from sudare.report.placing import places
from sudare.report.sections.base import Section
from sudare.report.text import attack_name, finding_name

_WIDTH, _HEIGHT = 400, 300
_BAND = 0.18
"""Height of the band above the scale, as a share of it."""
_APART = 20.0
"""Pixels from which a number is tied to its mark by a line."""


@dataclass(frozen=True, kw_only=True)
class _Mark:
    number: int
    look: Look
    x: Interval
    y: Interval
    spoken: str
    private: bool


def sections(run: Run) -> Sequence[Section]:
    """The chart of a comparison, or that there is none yet; none of a single thing."""
    if run.summary.mode is not Mode.COMPARISON:
        return []
    chart = tradeoff(run.drawn)
    blocks = [
        Paragraph(say("p_tradeoff")),
        Charts([Chart(chart)], key=key(run.drawn))
        if chart is not None
        else Paragraph(say("empty_tradeoff"), "empty"),
    ]
    return [Section(name="tradeoff", title=say("h_tradeoff"), blocks=blocks, place="figures")]


def tradeoff(run: Run) -> Markup | None:
    """Draw it, marks numbered as in ``key``; None while no release has both figures.

    One chart for every width: small enough for a phone, and it grows where there is room.
    """
    marks = _marks(run)
    if not marks:
        return None
    x_domain = _domain([mark.x for mark in marks], least=0.05)
    hidden = [mark.y for mark in marks if not mark.private]
    y_domain = scale_end = _domain([*hidden, Interval(0.5, 0.49, 0.5)], least=0.06)
    axis = alt.Axis(format=".2f", tickCount=6)
    y_axis = axis
    if len(hidden) < len(marks):
        # A band of its own above the scale: no AUC says what handing over images tells.
        band = _BAND * (scale_end[1] - scale_end[0])
        y_domain = (scale_end[0], scale_end[1] + band)
        y_axis = alt.Axis(format=".2f", values=_ticks(*scale_end))
        inside = Interval(*[scale_end[1] + band / 2] * 3)
        marks = [replace(mark, y=inside) if mark.private else mark for mark in marks]
    x = alt.X("x:Q", title=_utility_title(run), scale=_scale(x_domain), axis=axis)
    y = alt.Y("y:Q", title=_auc_title(run), scale=_scale(y_domain), axis=y_axis)
    left, top = x_domain[0], y_domain[1]
    layers = [
        *(_off_scale(scale_end[1], left, top, x, y) if y_axis is not axis else []),
        *_coin_flip(left, x, y),
        *_bars(marks, x, y),
        *_numbers(marks, x_domain, y_domain, x, y),
        alt.Chart(rows(_point(mark) for mark in marks))
        .mark_point(size=80, strokeWidth=2, opacity=1)
        .encode(
            x=x,
            y=y,
            shape=alt.Shape("shape:N", scale=None),
            stroke=alt.Stroke("colour:N", scale=None),
            fill=alt.Fill("fill:N", scale=None),
        ),
    ]
    return draw(
        alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT),
        name="tradeoff",
        alt_text=say("alt_tradeoff", points=listed([mark.spoken for mark in marks])),
        narrow=True,
        zoom=1.9,
    )


def key(run: Run) -> list[tuple[int, Markup, str]]:
    """Number, mark and label of each release; charts show the number beside the mark."""
    styles = looks({name: run.is_baseline(name) for name in run.releases})
    return [
        (number, swatch(styles[name]), run.label(name))
        for number, name in enumerate(run.releases, start=1)
    ]


def _ticks(low: float, high: float) -> list[float]:
    """Round values within the scale, at most nine."""
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 8)
    first = math.ceil(low / step)
    return [round(at * step, 2) for at in range(first, math.floor(high / step) + 1)]


def _off_scale(end: float, left: float, top: float, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    line = alt.Chart(rows([{"y": end}])).mark_rule(color=BAD, strokeWidth=1).encode(y=y)
    return [line, _words(say("contains_private_long"), left, top, x, y, color=BAD, dy=9)]


def _marks(run: Run) -> list[_Mark]:
    styles = looks({name: run.is_baseline(name) for name in run.releases})
    marks = []
    for number, name in enumerate(run.releases, start=1):
        leakage, utility = run.leakage(name), run.utility(name)
        y, x = interval(leakage), interval(utility)
        if leakage is None or utility is None or x is None or y is None:
            continue
        spoken = say(
            "alt_point",
            label=run.label(name),
            auc=short_estimate(leakage),
            utility=short_estimate(utility),
        )
        marks.append(
            _Mark(
                number=number,
                look=styles[name],
                x=_drawn(x),
                y=_drawn(y),
                spoken=say("answer_contains", one=spoken) if run.shows_members(name) else spoken,
                private=run.shows_members(name),
            )
        )
    return marks


def _drawn(found: Interval) -> Interval:
    """An interval that was not given is not drawn."""
    return found if math.isfinite(found.low) else Interval(*[found.value] * 3)


def _scale(domain: tuple[float, float]) -> alt.Scale:
    return alt.Scale(domain=list(domain), nice=False)


def _domain(intervals: list[Interval], *, least: float) -> tuple[float, float]:
    low = min(found.low for found in intervals)
    high = max(found.high for found in intervals)
    margin = max(0.09 * (high - low), (least - (high - low)) / 2, 0.008)
    return low - margin, high + margin


def _utility_title(run: Run) -> str:
    names = {found.id for name in run.releases if (found := run.utility(name)) is not None}
    return say("axis_utility", name=listed(sorted(finding_name(name) for name in names)))


def _auc_title(run: Run) -> str:
    attacks = {run.primary_attack(name) for name in run.releases if run.leakage(name) is not None}
    name = listed(sorted(attack_name(attack) for attack in attacks))
    return say("axis_auc", name=name)


def _coin_flip(left: float, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    line = alt.Chart(rows([{"y": 0.5}])).mark_rule(color=INK, strokeDash=[2, 3]).encode(y=y)
    return [line, _words(say("coin_flip"), left, 0.5, x, y, color=INK, dy=8)]


def _words(
    text: str, left: float, at: float, x: alt.X, y: alt.Y, *, color: str, dy: int
) -> alt.Chart:
    """Words at the left edge, a little below a height."""
    drawn: alt.Chart = (
        alt.Chart(rows([{"x": left, "y": at, "t": text}]))
        .mark_text(align="left", baseline="middle", dx=5, dy=dy, fontSize=10, color=color)
        .encode(x=x, y=y, text="t:N")
    )
    return drawn


def _numbers(
    marks: list[_Mark],
    across: tuple[float, float],
    up: tuple[float, float],
    x: alt.X,
    y: alt.Y,
) -> list[alt.Chart]:
    """The number of each release beside its mark, with a thin line where it stands apart."""
    pixel = ((across[1] - across[0]) / _WIDTH, (up[1] - up[0]) / _HEIGHT)
    middles = [
        ((mark.x.value - across[0]) / pixel[0], (up[1] - mark.y.value) / pixel[1]) for mark in marks
    ]
    texts = [str(mark.number) for mark in marks]
    stand = places(middles, texts, size=(_WIDTH, _HEIGHT))
    drawn = [
        {"x": across[0] + at[0] * pixel[0], "y": up[1] - at[1] * pixel[1], "t": text}
        for at, text in zip(stand, texts, strict=True)
    ]
    apart = [
        {"x": mark.x.value, "y": mark.y.value, "x_to": own["x"], "y_to": own["y"]}
        for mark, own, at, middle in zip(marks, drawn, stand, middles, strict=True)
        if math.dist(at, middle) > _APART
    ]
    lines = alt.Chart(rows(apart)).mark_rule(color=INK, strokeWidth=0.6, opacity=0.6)
    numbers = alt.Chart(rows(drawn)).mark_text(baseline="middle", fontSize=11, color=INK)
    return [
        *([lines.encode(x=x, y=y, x2="x_to:Q", y2="y_to:Q")] if apart else []),
        numbers.encode(x=x, y=y, text="t:N"),
    ]


def _bars(marks: list[_Mark], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    layers = []
    for hollow, dash in ((False, [1, 0]), (True, [3, 2])):
        data = rows(_point(mark) for mark in marks if mark.look.hollow is hollow)
        base = alt.Chart(data).mark_rule(strokeWidth=1.4, strokeDash=dash, opacity=0.85)
        colour = alt.Stroke("colour:N", scale=None)
        layers += [
            base.encode(x=_as(x, "x_low:Q"), x2="x_high:Q", y=y, stroke=colour),
            base.encode(y=_as(y, "y_low:Q"), y2="y_high:Q", x=x, stroke=colour),
        ]
    return layers


def _as(channel: alt.X | alt.Y, field: str) -> alt.X | alt.Y:
    copied = channel.copy()
    copied.shorthand = field
    return copied


def _point(mark: _Mark) -> dict[str, object]:
    return {
        "x": mark.x.value,
        "x_low": mark.x.low,
        "x_high": mark.x.high,
        "y": mark.y.value,
        "y_low": mark.y.low,
        "y_high": mark.y.high,
        "colour": mark.look.colour,
        "shape": mark.look.shape,
        "fill": mark.look.fill,
    }
