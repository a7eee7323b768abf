"""Contact sheets: a few images of each class, large enough to see."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import ByteArray
from sudare.core.errors import DataError
from sudare.core.seeds import generator
from sudare.data.images import ImageDataset

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from PIL.Image import Image

_TILE_PX, _GAP_PX, _NAMES_PX, _FONT_PX = 96, 6, 200, 15
_LINE_PX, _LINE_LETTERS, _LINES = 19, 24, 4
_PAPER, _INK, _FAINT = (255, 255, 255), (25, 25, 25), (110, 110, 110)


def contact_sheet(dataset: ImageDataset, per_class: int = 10, seed: int = 0) -> Image:
    """A row of random images for each class, beside its name and count.

    Small images are enlarged by a whole factor without smoothing, so that what is in the file is
    what is seen.

    Args:
        dataset: The collection.
        per_class: Images in a row, at least 1; a class with fewer shows what it has.
        seed: Which images are drawn.

    Raises:
        DataError: Fewer than one image in a row.
    """
    if per_class < 1:
        raise DataError(f"a contact sheet needs an image in a row, not {per_class}")
    from PIL import Image, ImageDraw, ImageFont

    longest = max(dataset.image_shape[1:])
    tile = longest * max(1, round(_TILE_PX / longest)) if longest <= 2 * _TILE_PX else 2 * _TILE_PX
    row_px = max(tile, _LINE_PX * 2) + _GAP_PX
    size = (
        _NAMES_PX + per_class * (tile + _GAP_PX) + _GAP_PX,
        dataset.n_classes * row_px + _GAP_PX,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_PX)
    for label, name in enumerate(dataset.class_names):
        top = _GAP_PX + label * row_px
        members = _members(dataset, label)
        room = max(1, min(_LINES, tile // _LINE_PX - 1))
        lines = textwrap.wrap(name, _LINE_LETTERS, max_lines=room, placeholder=" ...") or [""]
        for line, text in enumerate(lines):
            draw.text((_GAP_PX, top + line * _LINE_PX), text, fill=_INK, font=font)
        below = top + len(lines) * _LINE_PX
        draw.text((_GAP_PX, below), f"{len(members):,} images", fill=_FAINT, font=font)
        rng = generator(seed, "contact sheet", label)
        for column, row in enumerate(rng.permutation(members)[:per_class]):
            left = _NAMES_PX + column * (tile + _GAP_PX)
            sheet.paste(_tile(dataset.images[row], tile), (left, top))
    return sheet


def save_pixels(pixels: UInt8[ByteArray, "c h w"], target: Path) -> None:
    """Write one image, grey or in colour, as a PNG file that its owner alone may read."""
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    array = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(array)).save(target)
    target.chmod(0o600)


def _members(dataset: ImageDataset, label: int) -> list[int]:
    chosen = dataset.labels[:, label] if dataset.multi_label else dataset.labels == label
    return [int(row) for row in np.flatnonzero(chosen)]


def _tile(pixels: UInt8[ByteArray, "c h w"], side: int) -> Image:
    from PIL import Image

    array = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(array))
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    smooth = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return image.resize(size, smooth)
