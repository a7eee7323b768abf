"""CIFAR's official binary archives: labels and pixels as bytes, nothing that could run."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sudare.core.arrays import ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.data.sources.catalogue import CATALOGUE
from sudare.data.sources.download import fetch
from sudare.data.sources.source import Request, Source, assemble

_SIDE_PX = 32
_PIXELS = 3 * _SIDE_PX**2
_LARGEST_ARCHIVE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How an archive names its members, and which bytes precede the pixels of a record.

    Attributes:
        train: Members of the training set, in order.
        test: Member of the test set.
        names: Member with one class name a line.
        labels: Labels of each record; the last is the class.
    """

    train: tuple[str, ...]
    test: str
    names: str
    labels: tuple[str, ...]


_LAYOUTS = {
    "cifar10": _Layout(
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test="test_batch.bin",
        names="batches.meta.txt",
        labels=("class",),
    ),
    "cifar100": _Layout(
        train=("train.bin",),
        test="test.bin",
        names="fine_label_names.txt",
        labels=("coarse", "class"),
    ),
}


def cifar(request: Request) -> Source:
    """CIFAR-10, or CIFAR-100 with its fine labels (the coarse ones are attribute ``coarse``).

    The archive is the one the user names, else the cache's, else the official address's: the
    "binary version", not the pickled one.

    Raises:
        DataError: No connection, or an archive that is corrupt or another.
    """
    name, _, given = request.name.partition(":")
    if name in _LAYOUTS and not given:
        (remote,) = CATALOGUE[name].remotes
        path = fetch(remote, request.cache, progress=request.progress)
    else:
        path = Path(given or name).expanduser()
    members = _members(path)
    name = "cifar100" if _LAYOUTS["cifar100"].names in members else "cifar10"
    layout, entry = _LAYOUTS[name], CATALOGUE[name]
    if missing := sorted({*layout.train, layout.test, layout.names} - set(members)):
        raise DataError(
            f"the archive has no {missing[0]}",
            where=str(path),
            fix=f"Get CIFAR's binary version, {entry.remotes[0].name}.",
        )
    records = {
        "train": np.concatenate([_records(members, part, layout, path) for part in layout.train]),
        "test": _records(members, layout.test, layout, path),
    }
    own = len(layout.labels) - 1
    source = assemble(
        {split: (_images(rows, layout), _labels(rows, own)) for split, rows in records.items()},
        class_names=_names(members[layout.names], path),
        name=name,
        licence=entry.licence,
        source=entry.source,
        image_size=request.image_size,
    )
    return _with_coarse(source, records) if name == "cifar100" else source


def _with_coarse(source: Source, records: Mapping[str, ByteArray]) -> Source:
    train, test = ({"coarse": _labels(records[part], 0)} for part in ("train", "test"))
    held_out = None if source.test is None else replace(source.test, attributes=test)
    return replace(source, train=replace(source.train, attributes=train), test=held_out)


def _members(path: Path) -> dict[str, bytes]:
    wanted = {m for lay in _LAYOUTS.values() for m in (*lay.train, lay.test, lay.names)}
    found: dict[str, bytes] = {}
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
                    found[base] = file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(
            f"the archive cannot be read: {error}", where=str(path), fix="Get it again."
        ) from error
    return found


def _records(members: Mapping[str, bytes], name: str, layout: _Layout, path: Path) -> ByteArray:
    """The rows of a member: label bytes, then red, green and blue planes."""
    length = len(layout.labels) + _PIXELS
    flat = np.frombuffer(members[name], dtype=np.uint8)
    if not len(flat) or len(flat) % length:
        raise DataError(
            f"{len(flat)} bytes are no whole number of images of 32 x 32 pixels",
            where=f"{path}: {name}",
        )
    return flat.reshape(-1, length)


def _images(rows: ByteArray, layout: _Layout) -> ByteArray:
    return rows[:, len(layout.labels) :].reshape(-1, 3, _SIDE_PX, _SIDE_PX).copy()


def _labels(rows: ByteArray, column: int) -> IntArray:
    return rows[:, column].astype(np.int64)


def _names(text: bytes, path: Path) -> tuple[str, ...]:
    try:
        return tuple(name.strip() for name in text.decode("ascii").splitlines() if name.strip())
    except UnicodeDecodeError as error:
        raise DataError("the class names are no text", where=str(path)) from error
