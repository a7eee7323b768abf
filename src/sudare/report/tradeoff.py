"""The chart of the whole report: leakage against utility, one mark per release."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import altair as alt
from markupsafe import Markup

from sudare.report.drawing import (
    BAD,
    INK,
    MUTED,
    Look,
    draw,
    looks,
    rows,
    shortened,
    swatch,
    text_width,
)
from sudare.report.formats import short_estimate
from sudare.report.labels import Box, place_beside
from sudare.report.load import Interval, Run, interval
from sudare.report.text import attack_name, finding_name, listed, say

__all__ = ["key", "tradeoff"]

# Above this many releases a phone has no room for names; they get numbers and a key.
_MOST_NAMED = 7
_BAND = 0.18
"""Height of the band above the scale, as a share of it."""


@dataclass(frozen=True, kw_only=True)
class _Mark:
    label: str
    look: Look
    x: Interval
    y: Interval
    spoken: str
    private: bool


def tradeoff(run: Run, *, narrow: bool = False) -> Markup | None:
    """Draw it; None while no release has both figures.

    Args:
        run: The run.
        narrow: For a phone: smaller, with smaller labels.
    """
    marks = _marks(run)
    if not marks:
        return None
    width, height = (282, 320) if narrow else (860, 440)
    x_domain = _domain([mark.x for mark in marks], least=0.05)
    hidden = [mark.y for mark in marks if not mark.private]
    y_domain = scale_end = _domain([*hidden, Interval(0.5, 0.49, 0.5)], least=0.06)
    axis = alt.Axis(format=".2f", tickCount=5 if narrow else 7)
    y_axis = axis
    if len(hidden) < len(marks):
        # A band of its own above the scale: no AUC says what handing over images tells.
        band = _BAND * (scale_end[1] - scale_end[0])
        y_domain = (scale_end[0], scale_end[1] + band)
        y_axis = alt.Axis(format=".2f", values=_ticks(*scale_end))
        inside = Interval(*[scale_end[1] + band / 2] * 3)
        marks = [replace(mark, y=inside) if mark.private else mark for mark in marks]
    scales = _Scales(x_domain, y_domain, width, height)
    x = alt.X("x:Q", title=_utility_title(run), scale=_scale(x_domain), axis=axis)
    y = alt.Y("y:Q", title=_auc_title(run), scale=_scale(y_domain), axis=y_axis)
    layers = [
        *(_off_scale(scale_end[1], narrow, x, y, scales) if y_axis is not axis else []),
        *_coin_flip(width, narrow, x, y, scales),
        *_bars(marks, x, y),
        *_labels(marks, scales, x, y, narrow=narrow),
        alt.Chart(rows(_point(mark) for mark in marks))
        .mark_point(size=70 if narrow else 110, strokeWidth=2, opacity=1)
        .encode(
            x=x,
            y=y,
            shape=alt.Shape("shape:N", scale=None),
            stroke=alt.Stroke("colour:N", scale=None),
            fill=alt.Fill("fill:N", scale=None),
        ),
    ]
    chart = alt.layer(*layers).properties(width=width, height=height)
    return draw(
        chart,
        name="tradeoff-narrow" if narrow else "tradeoff",
        alt_text=say("alt_tradeoff", points=listed([mark.spoken for mark in marks])),
        narrow=narrow,
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round values within the scale, at most nine."""
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 8)
    first = math.ceil(low / step)
    return [round(at * step, 2) for at in range(first, math.floor(high / step) + 1)]


def _off_scale(end: float, narrow: bool, x: alt.X, y: alt.Y, scales: _Scales) -> list[alt.Chart]:
    left, at = scales.from_px(5, 10)
    line = alt.Chart(rows([{"y": end}])).mark_rule(color=BAD, strokeWidth=1).encode(y=y)
    text = alt.Chart(rows([{"x": left, "y": at, "t": say("contains_private_long")}])).mark_text(
        align="left",
        baseline="middle",
        fontSize=10 if narrow else 12,
        color=BAD,
        fontWeight="bold",
    )
    return [line, text.encode(x=x, y=y, text="t:N")]


def key(run: Run) -> list[tuple[Markup, str]]:
    """Mark and label of each number on the narrow chart; empty where it shows the labels."""
    marks = _marks(run)
    if len(marks) <= _MOST_NAMED:
        return []
    return [(swatch(mark.look), mark.label) for mark in marks]


def _marks(run: Run) -> list[_Mark]:
    styles = looks({name: run.is_baseline(name) for name in run.releases})
    marks = []
    for name in run.releases:
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
                label=run.label(name),
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


class _Scales:
    """Pixels of the plot from values and back."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], width: int, height: int
    ) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height

    def to_px(self, x: float, y: float) -> tuple[float, float]:
        return (
            (x - self.x[0]) / (self.x[1] - self.x[0]) * self.width,
            (self.y[1] - y) / (self.y[1] - self.y[0]) * self.height,
        )

    def from_px(self, x: float, y: float) -> tuple[float, float]:
        return (
            self.x[0] + x / self.width * (self.x[1] - self.x[0]),
            self.y[1] - y / self.height * (self.y[1] - self.y[0]),
        )


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


def _coin_flip(width: int, narrow: bool, x: alt.X, y: alt.Y, scales: _Scales) -> list[alt.Chart]:
    left, at = scales.from_px(5, scales.to_px(0, 0.5)[1] + 8)
    line = alt.Chart(rows([{"y": 0.5}])).mark_rule(color=INK, strokeDash=[2, 3]).encode(y=y)
    text = alt.Chart(rows([{"x": left, "y": at, "t": say("coin_flip")}])).mark_text(
        align="left",
        baseline="middle",
        fontSize=10 if narrow else 12,
        color=INK,
        fontStyle="italic",
    )
    return [line, text.encode(x=x, y=y, text="t:N")]


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


def _labels(
    marks: list[_Mark], scales: _Scales, x: alt.X, y: alt.Y, *, narrow: bool
) -> list[alt.Chart]:
    size = 10 if narrow else 12
    anchors = [scales.to_px(mark.x.value, mark.y.value) for mark in marks]
    texts = [shortened(mark.label, scales.width * 0.55, size) for mark in marks]
    if narrow and len(marks) > _MOST_NAMED:
        texts = [str(number) for number, _ in enumerate(marks, start=1)]
    obstacles = [box for mark in marks for box in _obstacles(mark, scales)]
    flip = scales.to_px(0, 0.5)[1]
    obstacles += [Box(0, flip, 60, flip + 16), Box(0, flip - 1, scales.width, flip + 1)]
    area = Box(0, 0, scales.width, scales.height)
    places = place_beside(anchors, texts, obstacles, area=area, size_px=size)
    spots = [scales.from_px(*place) for place in places]
    data = rows({"x": a, "y": b, "t": t} for (a, b), t in zip(spots, texts, strict=True))
    text = alt.Chart(data).mark_text(align="left", baseline="middle", fontSize=size, color=INK)
    leaders = _leaders(anchors, places, texts, scales, size)
    line = alt.Chart(rows(leaders)).mark_rule(color=MUTED, strokeWidth=0.7)
    drawn = [text.encode(x=x, y=y, text="t:N")]
    return [line.encode(x=x, y=y, x2="x2:Q", y2="y2:Q"), *drawn] if leaders else drawn


def _leaders(
    anchors: list[tuple[float, float]],
    places: list[tuple[float, float]],
    texts: list[str],
    scales: _Scales,
    size: int,
) -> list[dict[str, float]]:
    """A thin line from mark to label where the label had to move away."""
    lines = []
    for (x, y), (left, middle), text in zip(anchors, places, texts, strict=True):
        to_x = min(max(x, left), left + text_width(text, size))
        if math.hypot(to_x - x, middle - y) > 22:
            start = scales.from_px(x, y)
            end = scales.from_px(to_x, middle + (size * 0.6 if middle < y else -size * 0.6))
            lines.append({"x": start[0], "y": start[1], "x2": end[0], "y2": end[1]})
    return lines


def _obstacles(mark: _Mark, scales: _Scales) -> list[Box]:
    x, y = scales.to_px(mark.x.value, mark.y.value)
    left, top = scales.to_px(mark.x.low, mark.y.high)
    right, bottom = scales.to_px(mark.x.high, mark.y.low)
    return [
        Box(x - 7, y - 7, x + 7, y + 7),
        Box(left, y - 2, right, y + 2),
        Box(x - 2, top, x + 2, bottom),
    ]


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
