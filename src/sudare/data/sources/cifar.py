"""CIFAR's official archives, read without executing the pickles inside."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from sudare.core.arrays import ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.data.sources.catalogue import CATALOGUE
from sudare.data.sources.download import fetch
from sudare.data.sources.pickles import load_plain
from sudare.data.sources.source import Request, Source, assemble

__all__ = ["cifar"]

_SIDE_PX = 32
_LARGEST_ARCHIVE_BYTES = 1 << 30

_Batch: TypeAlias = Mapping[bytes | str, object]


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How an archive names its members and fields."""

    train: tuple[str, ...]
    test: str
    meta: str
    names: str
    labels: str


_LAYOUTS = {
    "cifar10": _Layout(
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test="test_batch",
        meta="batches.meta",
        names="label_names",
        labels="labels",
    ),
    "cifar100": _Layout(
        train=("train",), test="test", meta="meta", names="fine_label_names", labels="fine_labels"
    ),
}


def cifar(request: Request) -> Source:
    """CIFAR-10, or CIFAR-100 with its fine labels (the coarse ones are attribute ``coarse``).

    The archive is the one the user names, else the cache's, else the official address's.

    Raises:
        DataError: No connection, a corrupt archive, or one whose pickles name a class or function.
    """
    name, _, given = request.name.partition(":")
    if name in _LAYOUTS and not given:
        (remote,) = CATALOGUE[name].remotes
        path = fetch(remote, request.cache, progress=request.progress)
    else:
        path = Path(given or name).expanduser()
    members = _members(path)
    name = "cifar100" if "fine_label_names" in _keys(members.get("meta", {})) else "cifar10"
    layout, entry = _LAYOUTS[name], CATALOGUE[name]
    if missing := sorted({*layout.train, layout.test, layout.meta} - set(members)):
        raise DataError(
            f"the archive has no {missing[0]}", where=str(path), fix="It is not CIFAR's."
        )
    train = [members[batch] for batch in layout.train]
    splits = {"train": train, "test": [members[layout.test]]}
    source = assemble(
        {
            split: (_images(batches, path), _labels(batches, layout.labels, path))
            for split, batches in splits.items()
        },
        class_names=_texts(members[layout.meta], layout.names, path),
        name=name,
        licence=entry.licence,
        source=entry.source,
        image_size=request.image_size,
    )
    return _with_coarse(source, splits, path) if name == "cifar100" else source


def _with_coarse(source: Source, splits: Mapping[str, list[_Batch]], path: Path) -> Source:
    train, test = (
        {"coarse": _labels(splits[part], "coarse_labels", path)} for part in ("train", "test")
    )
    held_out = None if source.test is None else replace(source.test, attributes=test)
    return replace(source, train=replace(source.train, attributes=train), test=held_out)


def _members(path: Path) -> dict[str, _Batch]:
    wanted = {m for lay in _LAYOUTS.values() for m in (*lay.train, lay.test, lay.meta)}
    found: dict[str, _Batch] = {}
    unpacked = 0
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                # Before the member is passed over, which would unpack it too.
                unpacked += member.size
                if unpacked > _LARGEST_ARCHIVE_BYTES:
                    raise DataError("the archive unpacks to more than 1 GiB", where=str(path))
                base = member.name.rpartition("/")[2]
                file = archive.extractfile(member) if member.isfile() else None
                if base in wanted and file is not None:
                    found[base] = load_plain(file.read(), where=f"{path}: {base}")
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(
            f"the archive cannot be read: {error}", where=str(path), fix="Get it again."
        ) from error
    return found


def _images(batches: list[_Batch], path: Path) -> ByteArray:
    parts = []
    for batch in batches:
        pixels = _field(batch, "data", path)
        if not isinstance(pixels, np.ndarray) or pixels.shape[1:] != (3 * _SIDE_PX**2,):
            raise DataError("a batch holds no images of 32 x 32 pixels", where=str(path))
        parts.append(pixels.reshape(-1, 3, _SIDE_PX, _SIDE_PX))
    return np.concatenate(parts)


def _labels(batches: list[_Batch], field: str, path: Path) -> IntArray:
    columns = [_field(batch, field, path) for batch in batches]
    values = [value for column in columns if isinstance(column, list) for value in column]
    if not all(isinstance(column, list) for column in columns) or not all(
        isinstance(value, int) for value in values
    ):
        raise DataError(f"{field!r} is no list of whole numbers", where=str(path))
    return np.array(values, dtype=np.int64)


def _texts(batch: _Batch, field: str, path: Path) -> tuple[str, ...]:
    values = _field(batch, field, path)
    if not isinstance(values, list):
        raise DataError(f"{field!r} is no list", where=str(path))
    return tuple(v.decode() if isinstance(v, bytes) else str(v) for v in values)


def _field(batch: _Batch, field: str, path: Path) -> object:
    for key in (field.encode(), field):
        if key in batch:
            return batch[key]
    raise DataError(f"a batch has no field {field!r}", where=str(path))


def _keys(batch: _Batch) -> set[str]:
    return {key.decode("latin1") if isinstance(key, bytes) else str(key) for key in batch}
