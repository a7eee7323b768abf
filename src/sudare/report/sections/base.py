"""What a section of the page is, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from markupsafe import Markup

from sudare.core.registry import Registry
from sudare.report.load import Run
from sudare.report.tables import Table

SECTIONS = Registry(
    "section",
    {
        "copies": "sudare.report.sections.copies:sections",
        "choices": "sudare.report.sections.choices:sections",
        "inversion": "sudare.report.sections.inversion:sections",
        "outsider": "sudare.report.sections.outsider:sections",
        "federation": "sudare.report.sections.federation:sections",
        "sets": "sudare.report.sections.sets:sections",
        "evasion": "sudare.report.sections.evasion:sections",
        "fairness": "sudare.report.sections.fairness:sections",
        "sampler": "sudare.report.sections.sampler:sections",
        "checks": "sudare.report.sections.checks:sections",
    },
    group="sudare.sections",
)
"""Functions from a run to its sections, in reading order; each page gives its own copy."""


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """A picture with its words.

    Attributes:
        source: A ``data:`` address, or empty where the file is missing.
        caption: What it shows.
    """

    source: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page.

    Attributes:
        name: Its anchor: lower case, digits and dashes.
        title: Its heading.
        text: A sentence or two below the heading, or empty.
        charts: Charts as ``report.drawing.draw`` gives them.
        tables: Tables.
        images: Pictures; on the public page only those that its run still lists.
        sheets: Whether the pictures are whole sheets, which need half the page each.
    """

    name: str
    title: str
    text: str = ""
    charts: Sequence[Markup] = ()
    tables: Sequence[Table] = ()
    images: Sequence[ShownImage] = ()
    sheets: bool = False


def sections_of(run: Run) -> list[Section]:
    """Every registered section that has something to say about a run.

    Args:
        run: The run, or its public copy.
    """
    found: list[Section] = []
    for name in SECTIONS:
        make = cast("Callable[[Run], Sequence[Section]]", SECTIONS.load(name))
        found += make(run)
    return found
