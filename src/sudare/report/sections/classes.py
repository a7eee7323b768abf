"""Leakage and utility of each class and group, one small chart per release."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sudare.core import Finding
from sudare.core.hashing import Json
from sudare.core.wording import say, together
from sudare.report.blocks import Block, Cell, Chart, Charts, Folded, Paragraph, Table
from sudare.report.drawing import INK, Look, draw, looks
from sudare.report.load import Run, interval
from sudare.report.sections.base import Section
from sudare.report.tables import number_cell, reading, severity

_MOST_CLASSES, _FIRST = 20, 3


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """The charts and how many classes they show.

    Attributes:
        charts: A chart for each release, under its label.
        shown: Classes drawn.
        count: Classes there are.
    """

    charts: Sequence[Chart]
    shown: int
    count: int


def sections(run: Run) -> Sequence[Section]:
    """The first charts, the others and the table folded; none where no finding is of a class."""
    found = profiles(run)
    if found is None:
        return []
    text = say("p_classes")
    if found.shown < found.count:
        cut = say("p_classes_cut", shown=found.shown, count=found.count)
        text = together([text, cut])
    first, rest = found.charts[:_FIRST], found.charts[_FIRST:]
    blocks: list[Block] = [Paragraph(text), Charts(first)]
    if rest:
        blocks.append(Folded(say("exposed_more"), [Charts(rest)]))
    if (groups := groups_table(run)) is not None:
        blocks.append(Folded(say("all_groups"), [groups]))
    return [Section(name="classes", title=say("h_classes"), blocks=blocks, place="figures")]


def groups_table(run: Run) -> Table | None:
    """Leakage and recall of each class and group, highest leakage first; None without any."""
    leakage = [
        finding
        for finding in run.findings
        if finding.group and finding.id == f"{run.primary_attack(finding.release)}.auc"
    ]
    if not leakage:
        return None
    rows = []
    for finding in sorted(leakage, key=severity):
        read, kind = reading(finding)
        recall = run.get("utility.recall", finding.release, finding.group)
        rows.append(
            (
                Cell(text=finding.group),
                Cell(text=run.label(finding.release)),
                number_cell(finding),
                Cell(text=read, kind=kind),
                # Groups that are no classes have none.
                number_cell(recall) if recall is not None else Cell(text=""),
            )
        )
    columns = [say(f"c_{name}") for name in ("group", "release", "auc", "reading", "recall")]
    return Table(name="groups", caption=say("cap_groups"), columns=columns, rows=rows, tools=True)


def profiles(run: Run) -> Profiles | None:
    """Draw them; None where no finding is about a class."""
    leakage = {
        name: _by_class(run, f"{run.primary_attack(name)}.auc", name) for name in run.releases
    }
    recall = {name: _by_class(run, "utility.recall", name) for name in run.releases}
    groups = _order(leakage, recall)
    if not groups:
        return None
    shown = groups[:_MOST_CLASSES]
    domains = _domain(leakage.values(), shown, 0.5), _domain(recall.values(), shown, 1.0)
    styles = looks({name: run.is_baseline(name) for name in run.releases})
    charts = []
    for number, name in enumerate(run.releases):
        if leakage[name] or recall[name]:
            sides = (leakage[name], recall[name])
            label = run.label(name)
            svg = draw(
                _chart(sides, shown, domains, styles[name]),
                name=f"class{number}",
                alt_text=say("alt_classes", release=label),
                narrow=True,
                zoom=1.2,
            )
            charts.append(Chart(svg, label))
    return Profiles(charts=charts, shown=len(shown), count=len(groups))


def _by_class(run: Run, name: str, release: str) -> dict[str, Finding]:
    return {
        finding.group: finding
        for finding in run.findings
        if finding.id == name
        and finding.release == release
        and finding.group
        and finding.value is not None
    }


def _order(*tables: dict[str, dict[str, Finding]]) -> list[str]:
    """Classes by their mean leakage, highest first; the same order in every chart."""
    totals: dict[str, list[float]] = {}
    for found in tables[0].values():
        for group, finding in found.items():
            totals.setdefault(group, []).append(finding.value or 0.0)
    ranked = sorted(totals, key=lambda group: -sum(totals[group]) / len(totals[group]))
    others = {group for table in tables[1:] for found in table.values() for group in found}
    return ranked + sorted(others - set(ranked))


def _domain(
    tables: Iterable[dict[str, Finding]], groups: Sequence[str], mark: float
) -> list[float]:
    """Common limits of one axis; ``mark`` (the coin flip, or all found) is always inside."""
    ends = [mark]
    for table in tables:
        for group in groups:
            found = interval(table.get(group))
            if found is not None:
                ends += [found.value, *(end for end in found[1:] if math.isfinite(end))]
    margin = 0.06 * (max(ends) - min(ends)) + 0.005
    return [min(ends) - margin, max(ends) + margin]


def _chart(
    sides: tuple[dict[str, Finding], dict[str, Finding]],
    groups: Sequence[str],
    domains: tuple[list[float], list[float]],
    look: Look,
) -> dict[str, Json]:
    titles = (say("axis_class_auc"), say("axis_class_recall"))
    panels: list[Json] = [
        _panel(side, groups, domain, look, title=title, first=index == 0)
        for index, (side, domain, title) in enumerate(zip(sides, domains, titles, strict=True))
    ]
    return {"hconcat": panels, "spacing": 14}


def _panel(
    found: dict[str, Finding],
    groups: Sequence[str],
    domain: list[float],
    look: Look,
    *,
    title: str,
    first: bool,
) -> dict[str, Json]:
    """One side as a Vega-Lite specification.

    Altair copies every part of a chart several times, and of these there are the most in a page.
    """

    def x(field: str) -> dict[str, Json]:
        return {
            "field": field,
            "type": "quantitative",
            "title": title,
            "scale": {"domain": list[Json](domain), "nice": False},
            "axis": {"format": ".2~f", "tickCount": 3},
        }

    names: dict[str, Json] = {"title": None, "labels": first, "ticks": False, "domain": False}
    y: dict[str, Json] = {
        "field": "group",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": list[Json](groups)},
        "axis": {**names, "grid": True, "labelLimit": 84},
    }
    layers: list[Json] = [
        {
            "mark": {
                "type": "rule",
                "color": look.colour,
                "strokeWidth": 1.4,
                "strokeDash": [3, 2] if look.hollow else [1, 0],
            },
            "encoding": {"x": x("low"), "x2": {"field": "high"}, "y": y},
        },
        {
            "mark": {
                "type": "point",
                "shape": look.shape,
                "size": 42,
                "strokeWidth": 1.6,
                "opacity": 1,
                "stroke": look.colour,
                "fill": look.fill,
            },
            "encoding": {"x": x("x"), "y": y},
        },
    ]
    if first:
        flip: dict[str, Json] = {
            "data": {"values": [{"x": 0.5}]},
            "mark": {"type": "rule", "color": INK, "strokeDash": [2, 3]},
            "encoding": {"x": x("x")},
        }
        layers.insert(0, flip)
    return {
        "data": {"values": [_point(group, found[group]) for group in groups if group in found]},
        "layer": layers,
        "width": 112,
        "height": max(20 * len(groups), 40),
    }


def _point(group: str, finding: Finding) -> dict[str, Json]:
    value = finding.value
    low = value if finding.low is None else finding.low
    high = value if finding.high is None else finding.high
    return {"group": group, "x": value, "low": low, "high": high}
