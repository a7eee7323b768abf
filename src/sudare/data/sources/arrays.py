"""Images and labels out of arrays of any usual layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.archives import Array
from sudare.core.arrays import BoolArray, ByteArray, IntArray
from sudare.core.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import UInt8


def as_pixels(images: Array, *, where: str) -> UInt8[ByteArray, "n c h w"]:
    """Images of any usual layout as ``uint8 [n, c, h, w]``.

    Args:
        images: ``[n, h, w]``, ``[n, h, w, c]`` or ``[n, c, h, w]`` with c of 1 or 3; uint8, or
            floats in [0, 1].
        where: Names the array in errors.

    Raises:
        DataError: Another shape, dtype or range, or values that are not finite.
    """
    first, last = images.ndim == 4 and images.shape[1] in (1, 3), images.shape[-1:] in ((1,), (3,))
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim != 4 or first == last:
        either = "could be channels first or last" if first else "is none of images"
        raise DataError(
            f"shape {images.shape} {either}",
            where=where,
            fix="Save grey images as [n, h, w] and colour as [n, h, w, 3] or [n, 3, h, w].",
        )
    elif last:
        images = images.transpose(0, 3, 1, 2)
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images, dtype=np.uint8)
    if not np.issubdtype(images.dtype, np.floating):
        raise DataError(
            f"images are {images.dtype}", where=where, fix="Save uint8, or floats in [0, 1]."
        )
    return _from_floats(images, where)


def _from_floats(images: Array, where: str) -> ByteArray:
    pixels = np.empty(images.shape, dtype=np.uint8)
    for row, image in enumerate(images):
        # Written so that NaN, which compares false with everything, is refused too.
        if not bool(((image >= 0) & (image <= 1)).all()):
            finite = bool(np.isfinite(image).all())
            raise DataError(
                f"image {row} holds values "
                + (f"from {image.min():g} to {image.max():g}" if finite else "that are not finite"),
                where=where,
                fix="Floats must lie in [0, 1]; divide by the largest grey level.",
            )
        pixels[row] = np.round(image.astype(np.float64) * 255)
    return pixels


def as_labels(labels: Array, *, where: str) -> IntArray | BoolArray:
    """Labels as ``int64 [n]``, or multi-hot as ``bool [n, C]``.

    Args:
        labels: Integers ``[n]`` or ``[n, 1]``, or bool ``[n, C]``.
        where: Names the array in errors.

    Raises:
        DataError: Another shape or dtype, or a negative label.
    """
    if labels.ndim == 2 and labels.dtype == np.bool_:
        multi_hot: BoolArray = np.ascontiguousarray(labels)
        return multi_hot
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"labels are {labels.dtype} of shape {labels.shape}",
            where=where,
            fix="Save one whole number for each image, or bool [n, C] for several labels.",
        )
    if len(labels) and labels.min() < 0:
        raise DataError(
            f"label {labels.min()} is negative", where=where, fix="Number the classes from 0."
        )
    return labels.astype(np.int64)
