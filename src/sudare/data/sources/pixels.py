"""One image file to pixels: upright, 8-bit, grey or RGB; bombs and broken files are refused."""

from __future__ import annotations

import contextlib
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL.Image import Transpose

from sudare.core.arrays import ByteArray
from sudare.core.errors import DataError
from sudare.data.sources.source import channels_first, square

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from PIL.Image import Image

LARGEST_PIXELS = 64_000_000
"""Pixels of one image above which it is taken for a decompression bomb."""

_GREY = ("1", "L", "LA", "La")
_COLOUR = ("RGB", "RGBA", "RGBa", "P", "PA", "CMYK", "YCbCr")
_EXIF_ORIENTATION = 0x0112
_PNG = b"\x89PNG\r\n\x1a\n"
_LYING = (5, 6, 7, 8)
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Header:
    """What a file says about its image before it is decoded.

    Attributes:
        width: In pixels, once upright.
        height: In pixels, once upright.
        grey: Whether it is stored in grey.
    """

    width: int
    height: int
    grey: bool


def read_header(path: Path) -> Header:
    """Size and colour of a PNG or JPEG file.

    Raises:
        DataError: Another or a broken format, too many pixels, or more than 8 bits a channel.
    """
    with _opened(path) as image:
        if image.mode not in _GREY + _COLOUR:
            raise DataError(
                f"the image has pixels of type {image.mode}, not 8 bits a channel",
                where=str(path),
                fix="Choose a window and convert it to 8 bits.",
            )
        if _bits_of_png(path) > 8:
            # Pillow reads 16-bit colour as if it had 8, and calls it RGB.
            raise DataError(
                "the image has more than 8 bits a channel",
                where=str(path),
                fix="Choose a window and convert it to 8 bits.",
            )
        lying = _orientation(image) in _LYING
        width, height = image.size[::-1] if lying else image.size
        return Header(width, height, image.mode in _GREY)


def read_pixels(path: Path, *, grey: bool, size: int | None) -> UInt8[ByteArray, "c h w"]:
    """Decode an image, turned upright by its EXIF tag.

    Args:
        path: A file whose header was read.
        grey: Whether to decode to one channel; a colour image must then have none.
        size: Side in pixels of the square to resize to, or None.

    Raises:
        DataError: A truncated or corrupt file, transparency, or colour where grey is wanted.
    """
    with _opened(path) as image:
        if size is not None:
            # Lets JPEG decode at a fraction of its size, never below twice what is wanted.
            image.draft(None, (2 * size, 2 * size))
        # By the tag alone: Pillow's own way writes the other tags again, damaged ones too.
        turn = _TURNS.get(_orientation(image))
        upright = image if turn is None else image.transpose(turn)
        if upright.has_transparency_data and _see_through(upright):
            raise DataError(
                "the image is partly transparent",
                where=str(path),
                fix="Put it on a background and save it without transparency.",
            )
        picture = upright.convert("L" if upright.mode in _GREY else "RGB")
        if grey and picture.mode == "RGB":
            picture = _without_colour(picture, path)
        return channels_first(picture if size is None else square(picture, size))


def _bits_of_png(path: Path) -> int:
    """Bits a channel as the header of a PNG says; 8 of other formats."""
    with path.open("rb") as file:
        header = file.read(25)
    return header[24] if header.startswith(_PNG) and len(header) == 25 else 8


def _orientation(image: Image) -> int:
    """The orientation of a picture's EXIF tag; 1 where that is damaged: it only turns pictures."""
    if image.format == "PNG":
        # Its tags may stand behind the pixels, and pixels that are damaged must not pass.
        image.load()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = image.getexif().get(_EXIF_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _see_through(image: Image) -> bool:
    return bool((np.asarray(image.convert("RGBA").getchannel("A")) < 255).any())


def _without_colour(picture: Image, path: Path) -> Image:
    pixels = np.asarray(picture)
    if (pixels != pixels[:, :, :1]).any():
        raise DataError(
            "a colour image is among grey ones",
            where=str(path),
            fix="Convert all images to one of the two.",
        )
    return picture.getchannel(0)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns first and refuses later; here both are a refusal.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Damaged tags say nothing about the picture.
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            # By these two decoders only, whatever the file's name pretends.
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    raise _bomb(path)
                yield image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _bomb(path) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise DataError(
            f"the image cannot be read: {error}",
            where=str(path),
            fix="It must be a whole PNG or JPEG file; repair or remove it.",
        ) from error


def _bomb(path: Path) -> DataError:
    return DataError(
        f"the image unpacks to more than {LARGEST_PIXELS // 1_000_000} million pixels",
        where=str(path),
        fix="Scale it down, or remove it.",
    )
