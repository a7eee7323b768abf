"""Arrays out of ``.npz`` files, checked before they are believed; nothing in them is executed."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sudare.core.arrays import BoolArray, ByteArray, IntArray
from sudare.core.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import UInt8

__all__ = ["LARGEST_BYTES", "ArrayFile", "as_labels", "as_pixels"]

LARGEST_BYTES = 16 << 30
"""Unpacked size above which a collection is refused before it is read."""

Array = npt.NDArray[Any]


class ArrayFile:
    """An ``.npz`` file, read one array at a time.

    Args:
        path: The file.

    Raises:
        DataError: No such file, no such array, a corrupt one, one of Python objects, or one that
            would unpack to more than its header or ``LARGEST_BYTES`` allows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as archive:
            entries = archive.infolist()
        self.names = frozenset(entry.filename.removesuffix(".npy") for entry in entries)
        total = sum(entry.file_size for entry in entries)
        if total > LARGEST_BYTES:
            raise DataError(
                f"the file unpacks to {total / 2**30:.0f} GiB",
                where=str(path),
                fix=f"At most {LARGEST_BYTES >> 30} GiB are read; store smaller images.",
            )

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Array:
        """An array by name."""
        if name not in self.names:
            raise DataError(
                f"there is no array {name!r}",
                where=str(self.path),
                fix=f"It has: {', '.join(sorted(self.names)) or 'none'}.",
            )
        with self._open() as archive:
            size = archive.getinfo(f"{name}.npy").file_size
            try:
                with archive.open(f"{name}.npy") as member:
                    return self._read(member, name, size)
            except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
                raise self._corrupt(f"{name}: {error}") from error

    def _read(self, member: IO[bytes], name: str, size: int) -> Array:
        version = np.lib.format.read_magic(member)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise ValueError(f"array format {version} is not read")
        shape, fortran, dtype = read_header(member)
        if dtype.hasobject:
            raise DataError(
                f"array {name!r} holds Python objects, which could run anything when read",
                where=str(self.path),
                fix="Save it as numbers or text, with a dtype other than object.",
            )
        # The header alone decides how much is allocated: it must not promise more than is there.
        promised = dtype.itemsize
        for length in shape:
            promised *= int(length)
        if promised > size:
            raise ValueError(f"the header promises {promised} bytes, the file has {size}")
        flat = np.frombuffer(member.read(promised), dtype=dtype)
        return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as error:
            raise self._corrupt(str(error)) from error

    def _corrupt(self, reason: str) -> DataError:
        return DataError(
            f"the file cannot be read: {reason}",
            where=str(self.path),
            fix="It must be an .npz file of plain arrays.",
        )


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
