"""Pickles of plain values and byte arrays, read without running anything they name."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping

import numpy as np

from sudare.core.arrays import ByteArray
from sudare.core.errors import DataError

__all__ = ["load_plain"]


def load_plain(content: bytes, *, where: str) -> Mapping[bytes | str, object]:
    """A pickled dictionary of numbers, text, lists, dictionaries and arrays of unsigned bytes.

    Arrays are rebuilt by stand-ins of ours, so that not even NumPy's own reconstruction runs on
    what a stranger wrote.

    Args:
        content: The pickle.
        where: Names it in errors.

    Returns:
        The dictionary; an array in it is a ``uint8`` array.

    Raises:
        DataError: A pickle that names any other class or function, is corrupt, or holds no
            dictionary.
    """
    try:
        # Python 2 wrote these files: its text is bytes here.
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except DataError as error:
        raise DataError(error.what, where=where, fix=error.fix) from error
    except Exception as error:
        # A corrupt pickle can raise anything at all; nothing it names was run.
        raise DataError(f"the pickle is corrupt: {error}", where=where) from error
    if not isinstance(value, dict):
        raise DataError("the pickle holds no dictionary", where=where)
    return {
        key: entry.array(where) if isinstance(entry, _Array) else entry
        for key, entry in value.items()
    }


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise DataError(
                f"the pickle names {module}.{name}, which was not run",
                fix="It is no official archive. Do not trust where it came from.",
            ) from None


class _Dtype:
    """Stands in for ``numpy.dtype``; only unsigned bytes are admitted."""

    __slots__ = ()

    def __init__(self, code: object, *_: object) -> None:
        if code not in ("u1", b"u1"):
            raise DataError(f"the pickle holds an array of {code!r}, not of bytes")

    def __setstate__(self, state: object) -> None: ...


class _Array:
    """Stands in for an array under reconstruction."""

    __slots__ = ("content", "fortran", "shape")

    def __init__(self, *_: object) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.content, self.fortran = b"", False

    def __setstate__(self, state: tuple[object, tuple[int, ...], object, bool, bytes]) -> None:
        _, self.shape, _, self.fortran, self.content = state

    def array(self, where: str) -> ByteArray:
        """The bytes as an array."""
        try:
            flat = np.frombuffer(self.content, dtype=np.uint8)
            return flat.reshape(self.shape, order="F" if self.fortran else "C")
        except (TypeError, ValueError) as error:
            raise DataError(f"the pickle holds a broken array: {error}", where=where) from error


def _latin1(text: str, encoding: str) -> bytes:
    """Stands in for ``_codecs.encode``, by which Python 3 writes bytes under protocol 2."""
    return text.encode("latin1")


_STAND_INS: Mapping[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): "numpy.ndarray",
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
}
