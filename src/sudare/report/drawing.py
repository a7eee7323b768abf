"""From an altair chart to inline SVG: one look, checked content, colours that the page can turn.

Colour never stands alone: a release has a shape and a dash as well, and hollow marks are baselines.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import altair as alt
import vl_convert
from markupsafe import Markup

from sudare.core.hashing import Json

INK, MUTED, GRID, PAPER, BAD = "#20261f", "#5b6358", "#e3e0d4", "#fdfcf8", "#8c2a1c"

# Light colour to its counterpart on a dark page; the page's style sheet swaps them.
COLOURS: dict[str, str] = {
    "#1b6ca8": "#74b6ea",
    "#b3541e": "#f0995f",
    "#3b7a4b": "#82c998",
    "#7a4fa3": "#c3a0ea",
    "#8a6d00": "#d9ba45",
    "#b02a5b": "#f288ae",
    "#22757c": "#6ec9d1",
    "#62605a": "#bdb9ae",
}
_DARK = COLOURS | {
    INK: "#ecebe2",
    MUTED: "#a9b0a4",
    GRID: "#353b34",
    PAPER: "#171b17",
    BAD: "#f2a08f",
}
_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right")
# The same shapes as vega draws, in a box of 14 by 14, for the table of releases.
_PATHS = {
    "circle": "M2,7a5,5,0,1,0,10,0a5,5,0,1,0,-10,0Z",
    "square": "M2.5,2.5h9v9h-9Z",
    "triangle-up": "M7,2L12.5,12H1.5Z",
    "diamond": "M7,1L12,7L7,13L2,7Z",
    "triangle-down": "M7,12L12.5,2H1.5Z",
    "cross": "M5,1.5h4v3.5h3.5v4H9v3.5H5V9H1.5V5H5Z",
    "triangle-right": "M12,7L2,12.5V1.5Z",
}
_DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2), (4, 4), (10, 3), (1, 3))
_FONT = "Helvetica, Arial, Liberation Sans, sans-serif"
_SVG = "http://www.w3.org/2000/svg"
_ALLOWED = frozenset({"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath"})


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one release is drawn in every chart."""

    colour: str
    shape: str
    dash: tuple[int, ...]
    hollow: bool

    @property
    def fill(self) -> str:
        """Paper for hollow marks."""
        return PAPER if self.hollow else self.colour


def looks(releases: Mapping[str, bool]) -> dict[str, Look]:
    """A look for each release, given whether it is a baseline.

    Colours and shapes repeat with different periods, so that a pair of both comes again only
    after 56 releases.
    """
    colours = tuple(COLOURS)
    return {
        name: Look(
            colour=colours[index % len(colours)],
            shape=_SHAPES[index % len(_SHAPES)],
            dash=_DASHES[index % len(_DASHES)],
            hollow=baseline,
        )
        for index, (name, baseline) in enumerate(releases.items())
    }


def swatch(look: Look) -> Markup:
    """The release's mark, to stand beside its name in a table; hidden from screen readers."""
    return Markup(
        '<svg class="chart swatch" viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">'
        '<path d="{path}" fill="{fill}" stroke="{colour}" stroke-width="1.6"/></svg>'
    ).format(path=_PATHS[look.shape], fill=look.fill, colour=look.colour)


def rows(records: Iterable[Mapping[str, object]]) -> alt.InlineData:
    """Inline data of a chart, as text: altair would check and copy every number several times."""
    values = json.dumps([dict(record) for record in records])
    return alt.InlineData(values=values, format=alt.JsonDataFormat(type="json"))


def draw(
    chart: alt.TopLevelMixin | Mapping[str, Json],
    *,
    name: str,
    alt_text: str,
    narrow: bool = False,
    zoom: float = 1.0,
) -> Markup:
    """Render a chart to a labelled, self-contained ``<svg>`` that is safe to inline.

    Args:
        chart: Any altair chart, or a Vega-Lite specification; data inline.
        name: Unique within the page; prefix of the ids inside.
        alt_text: What a screen reader says instead of the picture.
        narrow: Smaller axis titles, for a chart on a phone.
        zoom: How far it may grow where there is room.
    """
    # Parts check themselves as they are made, in the tests at least; the whole is not once more.
    drawn = chart if isinstance(chart, Mapping) else chart.to_dict(validate=False)
    spec = {**drawn, "config": _config(size=10 if narrow else 12)}
    return _inline(_svg(json.dumps(spec, sort_keys=True)), name=name, alt_text=alt_text, zoom=zoom)


def _config(size: int) -> dict[str, Json]:
    return {
        "font": _FONT,
        "background": "transparent",
        "padding": 4,
        "view": {"stroke": None},
        "axis": {
            "labelColor": MUTED,
            "titleColor": INK,
            "titleFontWeight": "normal",
            "titleFontSize": size + 1,
            "labelFontSize": size,
            "gridColor": GRID,
            "domainColor": MUTED,
            "tickColor": MUTED,
            "tickSize": 4,
            "titlePadding": 8,
        },
    }


@lru_cache(maxsize=256)
def _svg(spec: str) -> str:
    """A drawn specification; both editions, and a run that goes on, ask for the same ones."""
    # No address may be fetched: all data are inline, and a report is written offline.
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return svg


def _inline(svg: str, *, name: str, alt_text: str, zoom: float) -> Markup:
    ET.register_namespace("", _SVG)
    root = ET.fromstring(svg)
    for parent in root.iter():
        for child in list(parent):
            empty = child.get("display") == "none" or child.get("d") == "M0,0h0v0h0Z"
            if empty or child.tag.removeprefix(f"{{{_SVG}}}") not in _ALLOWED:
                parent.remove(child)
        _clean(parent, name)
    title = ET.Element(f"{{{_SVG}}}title", {"id": f"{name}-title"})
    title.text = alt_text
    root.insert(0, title)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title")
    root.set("class", "chart")
    root.set("style", f"max-width:{zoom * float(root.get('width', '0')):.0f}px")
    return Markup(ET.tostring(root, encoding="unicode"))


def _clean(element: ET.Element, name: str) -> None:
    for key, value in list(element.attrib.items()):
        if key.startswith(("aria-", "{", "on")) or key in {"role", "class", "pointer-events"}:
            del element.attrib[key]
        elif key == "id":
            element.set(key, f"{name}-{value}")
        elif key == "clip-path":
            element.set(key, value.replace("url(#", f"url(#{name}-"))
        elif key in {"d", "transform"}:
            element.set(key, re.sub(r"-?\d+\.\d{2,}", _rounded, value))


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match.group()):.1f}".removesuffix(".0")


def dark_rules() -> Markup:
    """Style rules that turn the charts' colours for a dark page."""
    rules = [
        f'.chart [{channel}="{light}"]{{{channel}:{dark}}}'
        for light, dark in _DARK.items()
        for channel in ("fill", "stroke")
    ]
    return Markup("\n".join(rules))
