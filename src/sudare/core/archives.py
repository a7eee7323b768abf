"""Arrays out of ``.npz`` files and messages, checked before they are believed; none can act."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sudare.core.errors import DataError
from sudare.core.printable import escaped

LARGEST_BYTES = 16 << 30
"""Unpacked size above which a collection is refused before it is read."""

_LAST_CODE_POINT = 0x10FFFF
_SMALL_BYTES, _MOST_UNPACKED = 256 << 20, 200
"""A file may unpack to the first, or to so many times its own size: more is a bomb."""

Array: TypeAlias = npt.NDArray[Any]


class _ObjectsError(Exception):
    """The array holds Python objects."""


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
        total, own = sum(entry.file_size for entry in entries), path.stat().st_size
        if total > LARGEST_BYTES:
            raise DataError(
                f"the file unpacks to {total / 2**30:.0f} GiB",
                where=str(path),
                fix=f"At most {LARGEST_BYTES >> 30} GiB are read; store smaller images.",
            )
        if total > max(_SMALL_BYTES, _MOST_UNPACKED * own):
            raise DataError(
                f"the file's {own / 2**20:.1f} MiB unpack to {total / 2**20:,.0f} MiB",
                where=str(path),
                fix="Nothing packs so well but emptiness; if it is meant, save it unpacked.",
            )

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Array:
        """An array by name."""
        if name not in self.names:
            raise DataError(
                f"there is no array {name!r}",
                where=str(self.path),
                fix=f"It has: {', '.join(map(escaped, sorted(self.names))) or 'none'}.",
            )
        with self._open() as archive, self._believed(name):
            size = archive.getinfo(f"{name}.npy").file_size
            with archive.open(f"{name}.npy") as member:
                return _plain(member, size)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape that an array's header states; nothing of the array itself is read."""
        with (
            self._open() as archive,
            self._believed(name),
            archive.open(f"{name}.npy") as member,
        ):
            return _header(member)[0]

    def all(self) -> dict[str, Array]:
        """Every array by name."""
        return {name: self[name] for name in sorted(self.names)}

    @contextmanager
    def _believed(self, name: str) -> Iterator[None]:
        """Whatever zip, zlib and numpy raise over a hostile file becomes one error."""
        try:
            yield
        except _ObjectsError as error:
            raise DataError(
                f"array {name!r} holds Python objects, which could run anything when read",
                where=str(self.path),
                fix="Save it as numbers or text, with a dtype other than object.",
            ) from error
        except Exception as error:
            raise self._corrupt(f"{escaped(name)}: {error}") from error

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.path)
        except Exception as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise self._corrupt(reason or str(error)) from error

    def _corrupt(self, reason: str) -> DataError:
        return DataError(
            f"the file cannot be read: {reason}",
            where=str(self.path),
            fix="It must be an .npz file of plain arrays.",
        )


def array_of(content: bytes, name: str) -> Array:
    """One array in the ``.npy`` format, as messages carry them.

    Args:
        content: The bytes.
        name: What to call it in an error.

    Raises:
        DataError: It is none, one of Python objects, or its header promises more than is there.
    """
    try:
        return _plain(io.BytesIO(content), len(content))
    except Exception as error:
        raise DataError(f"{name} is no array of numbers") from error


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype of the array that follows."""
    version = np.lib.format.read_magic(member)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"array format {version} is not read")
    return read_header(member)


def _plain(member: IO[bytes], size: int) -> Array:
    """An array out of a stream of ``size`` bytes; whatever numpy raises over a hostile one."""
    shape, fortran, dtype = _header(member)
    if dtype.hasobject:
        raise _ObjectsError
    # The header alone decides how much is allocated: it must not promise more than is there.
    if min(shape, default=0) < 0:
        raise ValueError(f"a shape of {shape}")
    promised = dtype.itemsize
    for length in shape:
        promised *= int(length)
    if promised > size:
        raise ValueError(f"the header promises {promised} bytes, the file has {size}")
    flat = np.frombuffer(member.read(promised), dtype=dtype)
    if dtype.kind == "U" and flat.size and dtype.itemsize:
        # Such a number makes a string that is none: whoever names it in an error panics over it.
        codes = np.frombuffer(flat.tobytes(), dtype=np.dtype("u4").newbyteorder(dtype.byteorder))
        if codes.max() > _LAST_CODE_POINT:
            raise ValueError("text with characters that do not exist")
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
