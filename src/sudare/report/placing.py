"""Where the numbers beside the marks of a chart stand, so that none covers another."""

from __future__ import annotations

import math
from collections.abc import Sequence

MARK, LABEL_HEIGHT, LETTER_WIDTH = 11.0, 12.0, 6.5
"""Pixels: side of a mark, height of a number, width of one of its digits."""

_RINGS, _DIRECTIONS = 12, 16
_FIRST, _STEP = 11.0, 4.0

_Box = tuple[float, float, float, float]


def places(
    marks: Sequence[tuple[float, float]], texts: Sequence[str], *, size: tuple[float, float]
) -> list[tuple[float, float]]:
    """The middle of each text: beside its mark, and on no other text or mark.

    The nearest free place is taken, above and to the right first; crowded marks choose first.

    Args:
        marks: Middles of marks in pixels, from the left and from the top.
        texts: What stands beside each.
        size: Width and height of the chart in pixels.

    Returns:
        Middles of the texts in pixels.
    """
    taken = [_box(mark, MARK, MARK) for mark in marks]
    found: dict[int, tuple[float, float]] = {}
    for index in sorted(range(len(marks)), key=lambda i: (-_near(marks, i), i)):
        text = texts[index]
        width = LETTER_WIDTH * len(text)
        tried = [
            (at, _box(at, width, LABEL_HEIGHT)) for at in _around(marks[index], width, MARK / 2)
        ]
        free = [
            at
            for at, box in tried
            if _within(box, size) and not any(_touch(box, other) for other in taken)
        ]
        # A chart so full that nothing is free keeps the usual place.
        found[index] = free[0] if free else tried[0][0]
        taken.append(_box(found[index], width, LABEL_HEIGHT))
    return [found[index] for index in range(len(marks))]


def spread(heights: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Heights moved as little as need be to stand a gap apart, in the same order.

    Groups that touch are centred on the mean of what they stand for. Where there is no room for
    all, the gap is what there is.

    Args:
        heights: Where things would stand.
        gap: Least distance between two.
        low: Least height.
        high: Largest height.
    """
    order = sorted(range(len(heights)), key=lambda index: (heights[index], index))
    gap = min(gap, (high - low) / max(len(order) - 1, 1))
    # Groups of neighbours, each with its members and the height of its first.
    groups: list[tuple[list[int], float]] = []
    for index in order:
        members, first = [index], heights[index]
        while groups and groups[-1][1] + gap * len(groups[-1][0]) > first:
            members = groups.pop()[0] + members
            offsets = [heights[member] - gap * place for place, member in enumerate(members)]
            first = sum(offsets) / len(offsets)
        first = min(max(first, low), high - gap * (len(members) - 1))
        groups.append((members, first))
    # What was pushed in at the top may reach below again.
    found = [0.0] * len(heights)
    ceiling = high
    for members, first in reversed(groups):
        start = min(first, ceiling - gap * (len(members) - 1))
        for place, member in enumerate(members):
            found[member] = start + gap * place
        ceiling = start - gap
    return found


def _near(marks: Sequence[tuple[float, float]], index: int) -> int:
    return sum(math.dist(marks[index], other) < 3 * MARK for other in marks)


def _around(mark: tuple[float, float], width: float, half: float) -> list[tuple[float, float]]:
    """Places around a mark, the nearest ring first and from its upper right on."""
    found = []
    for ring in range(_RINGS):
        reach = _FIRST + _STEP * ring
        for turn in range(_DIRECTIONS):
            side = turn // 2 if turn % 2 else -(turn // 2) - 1
            angle = math.pi / 4 + 2 * math.pi * (side + 0.5) / _DIRECTIONS
            across = math.cos(angle) * (reach + max(width / 2 - half, 0.0))
            found.append((mark[0] + across, mark[1] - math.sin(angle) * reach))
    return found


def _box(middle: tuple[float, float], width: float, height: float) -> _Box:
    x, y = middle
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _touch(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _within(box: _Box, size: tuple[float, float]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]
