"""IDX files, packed or not: MNIST, Fashion-MNIST and whatever has their four files."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from sudare.core.archives import LARGEST_BYTES
from sudare.core.arrays import ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.data.sources.catalogue import CATALOGUE, IDX_FILES
from sudare.data.sources.download import fetch
from sudare.data.sources.source import Request, Source, assemble

_UNSIGNED_BYTE = 8


def idx(request: Request) -> Source:
    """A collection of four IDX files.

    They are looked for in the folder that the user names, else where a system package puts them,
    else in the cache, else at the official address.

    Raises:
        DataError: Missing, truncated or corrupt files, or no connection.
    """
    name, _, given = request.name.partition(":")
    entry = CATALOGUE.get(name)
    folder = Path(given or name).expanduser() if given or entry is None else entry.system
    paths = [_local(folder, file) for file in IDX_FILES] if folder is not None else []
    if entry is not None and not given and (None in paths or not paths):
        paths = [fetch(r, request.cache, progress=request.progress) for r in entry.remotes]
    arrays = []
    for path, file in zip(paths, IDX_FILES, strict=True):
        if path is None:
            raise DataError(
                f"there is no {file} or {file}.gz", where=str(folder), fix="All four are needed."
            )
        arrays.append(read_idx(path, dimensions=3 if "idx3" in file else 1))
    splits = {
        "train": _paired(arrays[0], arrays[1], paths[1]),
        "test": _paired(arrays[2], arrays[3], paths[3]),
    }
    classes = 1 + max(int(labels.max(initial=-1)) for _, labels in splits.values())
    return assemble(
        splits,
        class_names=entry.class_names if entry else tuple(str(c) for c in range(classes)),
        name=name if entry else Path(name).name,
        licence=entry.licence if entry else "not stated",
        source=entry.source if entry else "the owner's own files",
        image_size=request.image_size,
    )


def read_idx(path: Path, *, dimensions: int) -> ByteArray:
    """The array of an IDX file of unsigned bytes, packed if it ends on ``.gz``.

    Args:
        path: The file.
        dimensions: 3 for images ``[n, h, w]``, 1 for labels ``[n]``.

    Raises:
        DataError: A truncated, corrupt or oversized file, or one of other numbers.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _read(cast("BinaryIO", file), path, dimensions)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(
            f"the file is truncated or corrupt: {error}", where=str(path), fix="Get it again."
        ) from error


def _read(file: BinaryIO, path: Path, dimensions: int) -> ByteArray:
    zero, kind, found = struct.unpack(">HBB", file.read(4))
    if zero or kind != _UNSIGNED_BYTE or found != dimensions:
        raise DataError(
            f"the file does not begin as an IDX file of {dimensions} dimensions of bytes",
            where=str(path),
        )
    shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
    size = math.prod(shape)
    if size > LARGEST_BYTES:
        raise DataError(f"the header promises {size / 2**30:.0f} GiB", where=str(path))
    # One byte more than promised tells a longer file, without unpacking all of a bomb.
    content = file.read(size + 1)
    if len(content) != size:
        more = "more" if len(content) > size else f"only {len(content)}"
        raise DataError(
            f"the header promises {size} bytes and there are {more}",
            where=str(path),
            fix="Get it again.",
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _local(folder: Path, file: str) -> Path | None:
    candidates = (folder / f"{file}.gz", folder / file)
    return next((path for path in candidates if path.is_file()), None)


def _paired(images: ByteArray, labels: ByteArray, path: Path | None) -> tuple[ByteArray, IntArray]:
    if len(images) != len(labels):
        raise DataError(f"{len(images)} images have {len(labels)} labels", where=str(path))
    return images[:, None], labels.astype(np.int64)
