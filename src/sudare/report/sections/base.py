"""What a section of the page is, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from sudare.core.registry import Registry
from sudare.core.runs import ShownPicture
from sudare.core.wording import reworded, say
from sudare.report.blocks import Block, Chart, Charts, Folded, Paragraph, Pictures, ShownImage
from sudare.report.load import Run
from sudare.report.pictures import embedded

Place = Literal["answer", "figures", "detail", "record"]
"""In reading order: the answer, what it rests on, single checks abreast, what was done."""

SECTIONS = Registry(
    "section",
    {
        name: f"sudare.report.sections.{name}:sections"
        for name in (
            "verdict",
            "tradeoff",
            "releases",
            "roc",
            "worst_case",
            "canaries",
            "orderings",
            "classes",
            "exposed",
            "pairs",
            "copies",
            "choices",
            "inversion",
            "outsider",
            "federation",
            "sets",
            "evasion",
            "fairness",
            "sampler",
            "calibration",
            "checks",
            "findings",
            "threats",
            "run",
        )
    },
    group="sudare.sections",
)
"""Functions from a run to its sections, in reading order; each page gives its own copy."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page.

    Attributes:
        name: Its anchor: lower case, digits, dashes and underscores.
        title: Its heading.
        blocks: What stands below the heading, from ``sudare.report.blocks``.
        place: Where on the page it stands; sections of a place keep their order.
    """

    name: str
    title: str
    blocks: Sequence[Block] = ()
    place: Place = "detail"


def sections_of(run: Run) -> list[Section]:
    """Every registered section that has something to say about a run, in reading order.

    Args:
        run: The run, or its public copy.
    """
    found: list[Section] = []
    for name in SECTIONS:
        make = cast("Callable[[Run], Sequence[Section]]", SECTIONS.load(name))
        found += make(run)
    order = get_args(Place)
    return sorted(found, key=lambda section: order.index(section.place))


def explained(
    text: str,
    *tables: Block,
    charts: Sequence[Chart] = (),
    images: Sequence[ShownImage] = (),
    sheets: bool = False,
) -> list[Block]:
    """A sentence or two, and what it is about folded below: charts, tables, pictures.

    Args:
        text: The sentences, or empty.
        tables: Tables.
        charts: Charts.
        images: Pictures.
        sheets: Whether the pictures are whole sheets, which need half the page each.
    """
    shown: list[Block] = [Charts(charts, wide=True)] if charts else []
    shown += tables
    if images:
        shown.append(Pictures(images, size="sheet" if sheets else "small"))
    told: list[Block] = [Paragraph(text)] if text else []
    return [*told, Folded(say("shown_more"), shown)] if shown else told


def pictures_of(run: Run, kind: str, *, largest: int, key: str = "") -> list[ShownImage]:
    """The pictures of a kind that a run still lists, each under its release's label.

    Args:
        run: The run, or its public copy.
        kind: Which pictures.
        largest: Longer side of each at most, in pixels.
        key: The sentence of the caption, given ``label`` and ``caption``; the label alone unless
            given.
    """

    def caption(picture: ShownPicture) -> str:
        label = run.label(picture.release)
        return say(key, label=label, caption=reworded(picture.caption)) if key else label

    return [
        ShownImage(source=embedded(run, picture.file, largest), caption=caption(picture))
        for picture in run.summary.pictures
        if picture.kind == kind
    ]
