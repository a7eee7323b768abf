"""The user's own ``.npz`` file: images and labels, or MedMNIST's official splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sudare.core.archives import Array, ArrayFile
from sudare.core.arrays import BoolArray, IntArray
from sudare.core.errors import DataError
from sudare.data.images import check_labels
from sudare.data.sources.arrays import as_labels, as_pixels
from sudare.data.sources.medmnist import is_medmnist, medmnist_file, numbered
from sudare.data.sources.metadata import NO_UNIT
from sudare.data.sources.source import Request, Source, assemble


def npz(request: Request) -> Source:
    """A file of plain arrays, or one in MedMNIST's format.

    A plain file holds ``images`` (``[n, h, w]``, ``[n, h, w, c]`` or ``[n, c, h, w]``; uint8, or
    floats in [0, 1]) and ``labels`` (``[n]``, or bool ``[n, C]``). It may hold ``unit`` and
    ``groups`` (``[n]``, numbers or text) and ``class_names`` (``[C]``, text).

    Raises:
        DataError: Not such a file.
    """
    path = Path(request.name).expanduser()
    file = ArrayFile(path)
    return medmnist_file(path, request) if is_medmnist(file) else _plain(file, request)


def _plain(file: ArrayFile, request: Request) -> Source:
    path = file.path
    images = as_pixels(file["images"], where=f"{path}: images")
    labels = as_labels(file["labels"], where=f"{path}: labels")
    names = _class_names(file, images.shape[0], labels)
    check_labels(labels, len(names), where=f"{path}: labels")
    _check_length("labels", labels, len(images), path)
    source = assemble(
        {"all": (images, labels)},
        class_names=names,
        name=path.stem,
        licence="not stated",
        source="the owner's own file",
        image_size=request.image_size,
    )
    data, notes = source.train, (() if "unit" in file else (NO_UNIT,))
    if "unit" in file:
        unit, _ = _numbers(file["unit"], "unit", len(data), path)
        data = data.with_units(unit)
    if "groups" in file:
        groups, group_names = _numbers(file["groups"], "groups", len(data), path)
        data = replace(data, groups=groups, group_names=group_names)
    return replace(source, train=data, notes=notes)


def _class_names(file: ArrayFile, images: int, labels: IntArray | BoolArray) -> tuple[str, ...]:
    if "class_names" not in file:
        return numbered({"all": (np.empty((images, 1, 1, 1), dtype=np.uint8), labels)})
    names = file["class_names"]
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DataError(
            f"class_names are {names.dtype} of shape {names.shape}",
            where=str(file.path),
            fix="Save one text for each class.",
        )
    return tuple(_text(name) for name in names)


def _numbers(values: Array, column: str, rows: int, path: Path) -> tuple[IntArray, tuple[str, ...]]:
    """Number a column's values in sorted order; their names."""
    if values.ndim != 1 or values.dtype.kind not in "iuUS":
        raise DataError(
            f"{column} is {values.dtype} of shape {values.shape}",
            where=str(path),
            fix="Save one whole number or text for each image.",
        )
    _check_length(column, values, rows, path)
    names, numbers = np.unique(values, return_inverse=True)
    return numbers.astype(np.int64), tuple(_text(name) for name in names)


def _check_length(column: str, values: Array, rows: int, path: Path) -> None:
    if len(values) != rows:
        raise DataError(f"{column} has {len(values)} rows for {rows} images", where=str(path))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
