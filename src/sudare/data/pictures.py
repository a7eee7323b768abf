"""Contact sheets: a few images of each class, large enough to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.seeds import generator
from sudare.data.images import ImageDataset

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["contact_sheet"]

_CELL_PX, _GAP_PX, _TEXT_PX = 84, 6, 18
_PAPER, _INK = (250, 248, 243), (40, 40, 36)


def contact_sheet(
    data: ImageDataset, *, per_class: int = 10, classes: int = 20, seed: int = 0
) -> Image:
    """A row of random images for each class under its name.

    Args:
        data: The collection.
        per_class: Images in a row.
        classes: At most so many rows.
        seed: Which images are drawn.
    """
    from PIL import Image, ImageDraw

    rows = min(classes, data.n_classes)
    height = rows * (_CELL_PX + _TEXT_PX + _GAP_PX) + _GAP_PX
    width = per_class * (_CELL_PX + _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    rng = generator(seed, "contact sheet")
    for row in range(rows):
        top = _GAP_PX + row * (_CELL_PX + _TEXT_PX + _GAP_PX)
        members = np.flatnonzero(data.classes == row)
        draw.text((_GAP_PX, top), f"{data.class_names[row]}  ({len(members):,})", fill=_INK)
        chosen = rng.permutation(members)[:per_class]
        for column, image in enumerate(chosen):
            pixels = np.broadcast_to(data.images[image], (3, *data.image_shape[1:]))
            tile = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
            # Whole pixels, not smoothed: what is in the file is what is seen.
            tile = tile.resize((_CELL_PX, _CELL_PX), Image.Resampling.NEAREST)
            sheet.paste(tile, (_GAP_PX + column * (_CELL_PX + _GAP_PX), top + _TEXT_PX))
    return sheet
