"""Log-log ROC curves, one chart per attack, one curve per release, cut where the data resolve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
from markupsafe import Markup

from sudare.core.arrays import FloatArray
from sudare.core.runs import RocCurve
from sudare.core.wording import listed, say
from sudare.report.blocks import Block, Chart, Charts, Folded, Paragraph
from sudare.report.drawing import INK, Look, draw, looks, rows
from sudare.report.load import Run
from sudare.report.placing import spread
from sudare.report.sections.base import Section
from sudare.report.sections.tradeoff import key
from sudare.report.text import attack_name

_WIDTH, _HEIGHT, _SIZE = 300, 250, 10
_PER_DECADE = 24
_ROOM = 0.13
"""Of the width of the logarithmic axis, left free before the curves."""
_LEFT = 14.0
"""Pixels from a number to the mark it belongs to."""


@dataclass(frozen=True, kw_only=True)
class RocChart:
    """One attack's chart.

    Attributes:
        attack: Its human name.
        svg: The chart.
        primary: Whether the verdict is about this attack.
    """

    attack: str
    svg: Markup
    primary: bool = False


@dataclass(frozen=True, kw_only=True)
class _Curve:
    label: str
    number: int
    look: Look
    cut: float
    fpr: FloatArray
    tpr: FloatArray


def sections(run: Run) -> Sequence[Section]:
    """The charts of the attacks that the verdict is about; the others folded."""
    charts = roc_charts(run.drawn)
    blocks: list[Block] = [Paragraph(say("p_roc"))]
    if not charts:
        blocks.append(Paragraph(say("empty_roc"), "empty"))
    else:
        first = [chart for chart in charts if chart.primary] or charts[:1]
        rest = [chart for chart in charts if chart not in first]
        blocks.append(Charts(_shown(first), key=key(run.drawn), small=True))
        if rest:
            folded = [Charts(_shown(rest), wide=True)]
            blocks.append(Folded(say("other_attacks", count=len(rest)), folded))
    return [Section(name="roc", title=say("h_roc"), blocks=blocks, place="figures")]


def _shown(charts: Sequence[RocChart]) -> list[Chart]:
    return [Chart(chart.svg, chart.attack) for chart in charts]


def roc_charts(run: Run) -> list[RocChart]:
    """One chart per attack that has at least one curve the data resolve; primary ones first."""
    primary = set(run.summary.primary.values())
    attacks = dict.fromkeys(curve.attack for curve in run.summary.roc)
    ranked = sorted(attacks, key=lambda name: name not in primary)
    curves = {attack: found for attack in ranked if (found := _curves(run, attack))}
    if not curves:
        return []
    # One frame for all: panels are compared by eye.
    frame = _Frame([curve for found in curves.values() for curve in found])
    return [
        RocChart(
            attack=attack_name(attack),
            svg=_chart(found, frame, attack, f"roc{number}"),
            primary=attack in primary,
        )
        for number, (attack, found) in enumerate(curves.items())
    ]


def resolved_from(run: Run, curve: RocCurve) -> float | None:
    """The lowest false positive rate at which a curve says something, or None for nowhere.

    It is the lowest rate whose TPR was measured; without such findings, ten scored pairs per
    false alarm are asked for, as everywhere in an audit.
    """
    stem = f"{curve.attack}.tpr@"
    points = [
        (float(finding.id.removeprefix(stem)), finding.value is not None)
        for finding in run.findings
        if finding.release == curve.release and finding.id.startswith(stem) and not finding.group
    ]
    if points:
        return min((rate for rate, measured in points if measured), default=None)
    positive = [rate for rate in curve.fpr if rate > 0]
    if not positive:
        return None
    return min(10.0 ** math.ceil(math.log10(10 * min(positive)) - 1e-9), 0.1)


def sampled(curve: RocCurve, cut: float) -> tuple[FloatArray, FloatArray]:
    """TPR at ``fpr <= rate`` on a grid of rates that is the same for every run.

    The exact corners of a curve count the private images behind it; a fixed grid does not.

    Returns:
        Rates and TPR, both ``float64 [k]``.
    """
    size = min(len(curve.fpr), len(curve.tpr))
    fpr, tpr = np.asarray(curve.fpr[:size]), np.asarray(curve.tpr[:size])
    order = np.lexsort((tpr, fpr))
    fpr, best = fpr[order], np.maximum.accumulate(tpr[order])
    count = round(-math.log10(cut) * _PER_DECADE) + 1
    grid = np.logspace(math.log10(cut), 0.0, max(count, 2))
    index = np.searchsorted(fpr, grid * (1 + 1e-9), side="right") - 1
    return grid, np.where(index >= 0, best[np.maximum(index, 0)], 0.0)


def _curves(run: Run, attack: str) -> list[_Curve]:
    styles = looks({name: run.is_baseline(name) for name in run.releases})
    numbers = {name: number for number, name in enumerate(run.releases, start=1)}
    curves = []
    for curve in run.summary.roc:
        cut = resolved_from(run, curve) if curve.attack == attack and curve.fpr else None
        if cut is None or curve.release not in styles:
            continue
        fpr, tpr = sampled(curve, cut)
        keep = tpr > 0
        if keep.any():
            look = styles[curve.release]
            curves.append(
                _Curve(
                    label=run.label(curve.release),
                    number=numbers[curve.release],
                    look=look,
                    cut=cut,
                    fpr=fpr[keep],
                    tpr=tpr[keep],
                )
            )
    return curves


class _Frame:
    """Where the log axes begin."""

    def __init__(self, curves: list[_Curve]) -> None:
        self.cut = min(curve.cut for curve in curves)
        lowest = min(self.cut, *(float(curve.tpr.min()) for curve in curves))
        self.y_low = 10.0 ** math.floor(math.log10(lowest) + 1e-9)
        # A little room before the first points, for their numbers.
        self.x_low = self.cut * self.cut**_ROOM


def _chart(curves: list[_Curve], frame: _Frame, attack: str, name: str) -> Markup:
    ticks = [10.0**power for power in range(round(math.log10(frame.cut)), 1)]
    x = alt.X(
        "x:Q",
        title=say("axis_fpr"),
        scale=alt.Scale(type="log", domain=[frame.x_low, 1.0], nice=False),
        axis=alt.Axis(values=ticks, format="~%"),
    )
    y = alt.Y(
        "y:Q",
        title=say("axis_tpr"),
        scale=alt.Scale(type="log", domain=[frame.y_low, 1.0], nice=False),
        axis=alt.Axis(
            values=[10.0**power for power in range(round(math.log10(frame.y_low)), 1)],
            format="~%",
        ),
    )
    layers = [*_chance(frame, x, y), _lines(curves, x, y), *_starts(curves, frame, x, y)]
    chart = alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT)
    spoken = say(
        "alt_roc",
        attack=attack_name(attack),
        releases=listed([curve.label for curve in curves]),
    )
    return draw(chart, name=name, alt_text=spoken, narrow=True, zoom=1.35)


def _chance(frame: _Frame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    low = max(frame.cut, frame.y_low)
    ends = [{"x": low, "y": low}, {"x": 1.0, "y": 1.0}]
    line = alt.Chart(rows(ends)).mark_line(color=INK, strokeWidth=1, strokeDash=[2, 3])
    at = math.sqrt(low)
    text = alt.Chart(rows([{"x": at, "y": at, "t": say("chance")}])).mark_text(
        align="left", baseline="top", dx=6, dy=6, fontSize=_SIZE, fontStyle="italic", color=INK
    )
    return [line.encode(x=x, y=y), text.encode(x=x, y=y, text="t:N")]


def _lines(curves: list[_Curve], x: alt.X, y: alt.Y) -> alt.Chart:
    """All curves in one layer; altair copies every layer several times."""
    points = [
        {
            "x": float(a),
            "y": float(b),
            "n": str(curve.number),
            "c": curve.look.colour,
            "d": list(curve.look.dash),
        }
        for curve in curves
        for a, b in zip(curve.fpr, curve.tpr, strict=True)
    ]
    line = alt.Chart(rows(points)).mark_line(interpolate="step-after", strokeWidth=1.6)
    drawn: alt.Chart = line.encode(
        x=x,
        y=y,
        detail="n:N",
        stroke=alt.Stroke("c:N", scale=None),
        strokeDash=alt.StrokeDash("d:N", scale=None),
    )
    return drawn


def _starts(curves: list[_Curve], frame: _Frame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Each curve's mark where it begins, and its number left of it, on no other number."""
    decades = -math.log10(frame.y_low)
    heights = [(1 + math.log10(float(curve.tpr[0])) / decades) * _HEIGHT for curve in curves]
    apart = spread(heights, gap=_SIZE + 1.0, low=_SIZE / 2, high=_HEIGHT - _SIZE / 2)
    left = [float(curve.fpr[0]) * frame.x_low ** (_LEFT / _WIDTH) for curve in curves]
    numbers = [
        {
            "x": at,
            "y": 10.0 ** (decades * (height / _HEIGHT - 1)),
            "x_to": float(curve.fpr[0]),
            "y_to": float(curve.tpr[0]),
            "n": str(curve.number),
        }
        for curve, at, height in zip(curves, left, apart, strict=True)
    ]
    marks = [
        {
            "x": float(curve.fpr[0]),
            "y": float(curve.tpr[0]),
            "n": str(curve.number),
            "c": curve.look.colour,
            "f": curve.look.fill,
            "s": curve.look.shape,
        }
        for curve in curves
    ]
    point = alt.Chart(rows(marks)).mark_point(size=38, strokeWidth=1.5, opacity=1)
    text = alt.Chart(rows(numbers)).mark_text(
        align="right", baseline="middle", dx=-2, fontSize=_SIZE, color=INK
    )
    lines = alt.Chart(rows(numbers)).mark_rule(color=INK, strokeWidth=0.5, opacity=0.6)
    return [
        lines.encode(x=x, y=y, x2="x_to:Q", y2="y_to:Q"),
        point.encode(
            x=x,
            y=y,
            stroke=alt.Stroke("c:N", scale=None),
            fill=alt.Fill("f:N", scale=None),
            shape=alt.Shape("s:N", scale=None),
        ),
        text.encode(x=x, y=y, text="n:N"),
    ]
