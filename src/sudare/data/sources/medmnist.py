"""MedMNIST files: by name from their official address, or by path."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np

from sudare.core.archives import ArrayFile
from sudare.core.arrays import BoolArray, ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.data.sources.arrays import as_labels, as_pixels
from sudare.data.sources.catalogue import CATALOGUE
from sudare.data.sources.download import fetch
from sudare.data.sources.source import Request, Source, assemble

_SPLITS = ("train", "val", "test")

Split: TypeAlias = tuple[ByteArray, IntArray | BoolArray]


def medmnist(request: Request) -> Source:
    """A MedMNIST v2 collection of 28 px by name, such as ``medmnist:bloodmnist``.

    Raises:
        DataError: No connection, or a wrong file.
    """
    (remote,) = CATALOGUE[request.name].remotes
    return medmnist_file(fetch(remote, request.cache, progress=request.progress), request)


def medmnist_file(path: Path, request: Request) -> Source:
    """A MedMNIST file: official train and validation are ``train``, test is ``test``.

    Classes and licence are known if the file has its official name, of any size
    (``bloodmnist.npz``, ``bloodmnist_64.npz``).

    Raises:
        DataError: Missing arrays, or arrays that are not images and labels.
    """
    splits = read_medmnist(path)
    official = CATALOGUE.get(f"medmnist:{path.stem.partition('_')[0]}")
    names = official.class_names if official else numbered(splits)
    return assemble(
        splits,
        class_names=names,
        name=path.stem,
        licence=official.licence if official else "not stated",
        source=official.source if official else "a file in MedMNIST's format",
        image_size=request.image_size,
    )


def is_medmnist(file: ArrayFile) -> bool:
    """Whether an ``.npz`` file holds official splits."""
    return "train_images" in file


def read_medmnist(path: Path) -> dict[str, Split]:
    """The three official splits of a file: images ``uint8 [n, c, h, w]`` and labels.

    Labels are ``int64 [n]``, or ``bool [n, C]`` where an image can have several.

    Raises:
        DataError: Missing arrays, or arrays that are not images and labels.
    """
    file = ArrayFile(path)
    splits: dict[str, Split] = {}
    for split in _SPLITS:
        images, labels = file[f"{split}_images"], file[f"{split}_labels"]
        if labels.ndim == 2 and labels.shape[1] > 1:
            labels = labels.astype(np.bool_)
        where = f"{path}: {split}_images"
        splits[split] = as_pixels(images, where=where), as_labels(labels, where=str(path))
        if len(images) != len(labels):
            raise DataError(f"{len(images)} images have {len(labels)} labels", where=where)
    return splits


def numbered(splits: dict[str, Split]) -> tuple[str, ...]:
    """Class names for labels that come without: their numbers.

    Raises:
        DataError: A number no smaller than the number of images: there would be empty classes.
    """
    labels = [labels for _, labels in splits.values()]
    if labels[0].ndim == 2:
        return tuple(str(number) for number in range(labels[0].shape[1]))
    largest = max(int(column.max(initial=-1)) for column in labels)
    if largest >= max(1, sum(map(len, labels))):
        raise DataError(
            f"label {largest} is too large for {sum(map(len, labels))} images",
            where="labels",
            fix="Number the classes from 0 without gaps.",
        )
    return tuple(str(number) for number in range(1 + largest))
