"""The texts of a page in the order they stand in, so that a button can change its language."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape


class Words:
    """What a template asks for each text it prints.

    A page is rendered in each language with the same template and blocks, so that the n-th text
    of one is the n-th of the other. The page that is read first is rendered last: each of its
    texts that reads otherwise in the other language gets the number of that reading, which waits
    in ``texts`` or ``charts``.

    Args:
        other: All texts of the page in the other language, in order; None for a page of one.
    """

    def __init__(self, other: Sequence[str] | None = None) -> None:
        self.said: list[str] = []
        self._other = other
        self._texts: dict[tuple[str, str], int] = {}
        self.charts: list[Markup] = []

    @property
    def texts(self) -> list[str]:
        """The texts in the other language, by number."""
        return [other for _, other in self._texts]

    def slot(self, text: str, attribute: str = "") -> Markup:
        """What to write into the tag of an element that holds this text and nothing else.

        Args:
            text: The text.
            attribute: The attribute that holds it, if it is no content.
        """
        number = self._number(text)
        if number is None:
            return Markup("")
        dash = "-" if attribute else ""
        return Markup(f' data-t{dash}{attribute}="{number}"')

    def attribute(self, name: str, text: str) -> Markup:
        """An attribute whose value is a text."""
        return Markup(' {}="{}"').format(Markup(name), text) + self.slot(text, name)

    def text(self, text: str) -> Markup:
        """A text among others, in an element of its own where it reads otherwise."""
        place = self.slot(text)
        return Markup("<span{}>{}</span>").format(place, text) if place else escape(text)

    def chart(self, svg: Markup) -> Markup:
        """What to write into the tag of an element that holds a chart and nothing else."""
        other = self._next(svg)
        if other is None or other == svg:
            return Markup("")
        self.charts.append(Markup(other))
        return Markup(f' data-chart="{len(self.charts) - 1}"')

    def _number(self, text: str) -> int | None:
        other = self._next(text)
        if other is None or other == text:
            return None
        return self._texts.setdefault((text, other), len(self._texts))

    def _next(self, text: str) -> str | None:
        self.said.append(text)
        # A text too many has no other reading; whoever renders both compares the numbers.
        at = len(self.said) - 1
        return self._other[at] if self._other is not None and at < len(self._other) else None
