"""What sections are made of: values that the page's template draws, one shape each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from markupsafe import Markup


@dataclass(frozen=True)
class Block:
    """One thing on the page.

    Attributes:
        shape: Which part of ``blocks.html.j2`` draws it.
    """

    shape: ClassVar[str]


@dataclass(frozen=True)
class Paragraph(Block):
    """A paragraph.

    Attributes:
        text: What it says.
        style: How it looks: ``empty`` where there is nothing to show, ``first`` on the first
            screen, ``warning``, or as any other.
        label: A word before it, in bold, or empty.
    """

    shape: ClassVar[str] = "paragraph"

    text: str
    style: Literal["", "empty", "first", "warning"] = ""
    label: str = ""


@dataclass(frozen=True)
class Heading(Block):
    """A heading below that of the section."""

    shape: ClassVar[str] = "heading"

    text: str


@dataclass(frozen=True)
class Points(Block):
    """A list of sentences."""

    shape: ClassVar[str] = "points"

    items: Sequence[str]


@dataclass(frozen=True)
class Meanings(Block):
    """Terms, and what each means."""

    shape: ClassVar[str] = "meanings"

    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answers(Block):
    """Questions and their answers.

    Attributes:
        rows: Label and text.
        first: The answer to the question of the page, and the rule behind it; or none.
    """

    shape: ClassVar[str] = "answers"

    rows: Sequence[tuple[str, str]]
    first: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class Code(Block):
    """Text as it is typed."""

    shape: ClassVar[str] = "code"

    text: str


@dataclass(frozen=True)
class Folded(Block):
    """Blocks behind a line that unfolds them.

    Attributes:
        summary: The line.
        blocks: What it unfolds.
        opened: Whether it is unfolded from the start.
    """

    shape: ClassVar[str] = "folded"

    summary: str
    blocks: Sequence[Block]
    opened: bool = False


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell.

    Attributes:
        text: What it says.
        small: A second, smaller line.
        sort: What it sorts by, where that is not the text.
        kind: A style: ``num``, ``bad``, ``good``, ``open``, or empty.
        mark: A picture before the text.
    """

    text: str
    small: str = ""
    sort: str = ""
    kind: str = ""
    mark: Markup | None = None


@dataclass(frozen=True, kw_only=True)
class Table(Block):
    """A table whose first column heads its rows.

    Attributes:
        name: Unique within the page.
        caption: Above it.
        columns: Their heads.
        rows: As many cells each.
        stacks: Whether on a phone its cells stand under each other.
        tools: Whether it is sorted by column and filtered by text.
    """

    shape: ClassVar[str] = "table"

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    stacks: bool = False
    tools: bool = False

    def without_empty(self) -> Table:
        """The table without columns that hold no content and no number in any row."""
        kept = [
            index
            for index, _ in enumerate(self.columns)
            if any(row[index].text and row[index].kind != "na" for row in self.rows)
        ]
        return replace(
            self,
            columns=[self.columns[index] for index in kept],
            rows=[[row[index] for index in kept] for row in self.rows],
        )


@dataclass(frozen=True)
class Chart:
    """A chart as ``report.drawing.draw`` gives it, with a caption or none."""

    svg: Markup
    caption: str = ""


@dataclass(frozen=True)
class Charts(Block):
    """Charts beside each other.

    Attributes:
        charts: The charts.
        wide: Whether at most two stand abreast, and not as many as there is room for.
        key: Number, mark and label of each release, beside the charts; or none.
        small: Whether the key gets more room than one chart leaves.
    """

    shape: ClassVar[str] = "charts"

    charts: Sequence[Chart]
    wide: bool = False
    key: Sequence[tuple[int, Markup, str]] = ()
    small: bool = False


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """A picture with its words.

    Attributes:
        source: A ``data:`` address, or empty where the file is missing.
        caption: What it shows.
        alt: What a screen reader says instead; the caption unless given.
    """

    source: str
    caption: str
    alt: str = ""


@dataclass(frozen=True)
class Pictures(Block):
    """Pictures beside each other.

    Attributes:
        images: The pictures; on the public page only those that its run still lists.
        size: ``small`` as images of the collection are, ``wide`` as three of them, ``sheet``
            where one takes half the page.
    """

    shape: ClassVar[str] = "pictures"

    images: Sequence[ShownImage]
    size: Literal["small", "wide", "sheet"] = "small"
