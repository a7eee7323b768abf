"""Where labels go so that they do not collide: greedy, in pixels, deterministic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sudare.report.drawing import text_width

__all__ = ["Box", "place_beside", "spread"]


class Box(NamedTuple):
    """An area in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: Box) -> float:
        """Area common to both."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


def place_beside(
    anchors: Sequence[tuple[float, float]],
    texts: Sequence[str],
    obstacles: Sequence[Box],
    *,
    area: Box,
    size_px: float,
) -> list[tuple[float, float]]:
    """Left middle of each label, near its anchor, clear of obstacles and of other labels.

    Args:
        anchors: Points to be labelled, in pixels.
        texts: One label each.
        obstacles: Areas to keep free (marks, error bars).
        area: Where labels may be.
        size_px: Font size.
    """
    taken = list(obstacles)
    placed: dict[int, tuple[float, float]] = {}
    # Crowded points choose last: a lone one has many free places.
    for index in sorted(range(len(anchors)), key=lambda item: anchors[item][1]):
        width, height = text_width(texts[index], size_px), size_px * 1.25
        best = min(
            _candidates(anchors[index], width, height),
            key=lambda option: _cost(option, anchors[index], taken, area),
        )
        taken.append(best)
        placed[index] = (best.left, (best.top + best.bottom) / 2)
    return [placed[index] for index in range(len(anchors))]


def _candidates(anchor: tuple[float, float], width: float, height: float) -> list[Box]:
    x, y = anchor
    boxes = []
    for reach in (9.0, 16.0, 26.0, 40.0, 58.0):
        for dx, dy in ((1, -1), (1, 1), (-1, -1), (-1, 1), (1, 0), (-1, 0), (0, -1), (0, 1)):
            left = x + dx * reach - (width if dx < 0 else width / 2 if dx == 0 else 0)
            middle = y + dy * max(reach, height * 0.8)
            boxes.append(Box(left, middle - height / 2, left + width, middle + height / 2))
    return boxes


def _cost(box: Box, anchor: tuple[float, float], taken: Sequence[Box], area: Box) -> float:
    size = (box.right - box.left) * (box.bottom - box.top)
    outside = size - box.shared(area)
    near_x = min(max(anchor[0], box.left), box.right) - anchor[0]
    near_y = min(max(anchor[1], box.top), box.bottom) - anchor[1]
    distance = (near_x**2 + near_y**2) ** 0.5
    cost: float = 20 * outside + 4 * sum(box.shared(other) for other in taken) + distance
    return cost


def spread(wanted: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Positions on a line, at least ``gap`` apart, near the wanted ones and in their order.

    Ends may be passed only if there are more positions than fit.
    """
    order = sorted(range(len(wanted)), key=lambda item: wanted[item])
    placed: list[float] = []
    for index in order:
        floor = placed[-1] + gap if placed else low
        placed.append(max(wanted[index], floor))
    ceiling = high
    for item in reversed(range(len(placed))):
        placed[item] = min(placed[item], ceiling)
        ceiling = placed[item] - gap
    result = [0.0] * len(wanted)
    for position, index in zip(placed, order, strict=True):
        result[index] = position
    return result
