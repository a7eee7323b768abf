"""The image collection as one value: pixels, labels, units and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sudare.core.arrays import BoolArray, ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.core.hashing import Json, hash_arrays, hash_json
from sudare.core.printable import unprintable

if TYPE_CHECKING:
    from jaxtyping import Int, UInt8


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageDataset:
    """Images with labels, in memory or memory-mapped; pixels stay uint8 until on the device.

    Attributes:
        images: ``uint8 [n, c, h, w]`` with c of 1 or 3.
        labels: ``int64 [n]`` in ``range(len(class_names))``, or multi-hot ``bool [n, C]``.
        class_names: One name per class.
        unit: ``int64 [n]``; images of one patient, person, site or duplicate cluster share it.
        groups: Optional ``int64 [n]``, for fairness; names in ``group_names``.
        group_names: One name per group.
        attributes: Optional further columns, ``int64 [n]`` each.
        silo: Optional ``int64 [n]``; the federation client that holds the image.
        silo_names: Name of each of these clients, where they have names.
        name: Short name of the collection.
        licence: Licence in words.
        source: Where it comes from, in words, with attribution.

    Raises:
        DataError: Shapes, dtypes or labels that do not fit, or names that are not for print.
    """

    images: UInt8[ByteArray, "n c h w"]
    labels: IntArray | BoolArray
    class_names: tuple[str, ...]
    unit: Int[IntArray, " n"]
    groups: IntArray | None = None
    group_names: tuple[str, ...] = ()
    attributes: Mapping[str, IntArray] = field(default_factory=dict)
    silo: IntArray | None = None
    silo_names: tuple[str, ...] = ()
    name: str = "images"
    licence: str = "unknown"
    source: str = "unknown"

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise DataError(
                f"images must be uint8 of shape [n, c, h, w], not {self.images.dtype} "
                f"of shape {self.images.shape}",
                where=self.name,
            )
        if self.images.shape[1] not in (1, 3):
            raise DataError(
                f"images must have 1 or 3 channels, not {self.images.shape[1]}", where=self.name
            )
        for text in (self.name, self.licence, self.source, *self.class_names, *self.group_names):
            if unprintable(text):
                raise DataError(
                    f"a name holds a character that is not for print: {text!r}",
                    fix="Rename the class, group or collection.",
                )
        check_labels(self.labels, len(self.class_names), where=self.name)
        columns = {"labels": self.labels, "unit": self.unit, **self.attributes}
        columns |= {"groups": self.groups} if self.groups is not None else {}
        columns |= {"silo": self.silo} if self.silo is not None else {}
        for column, values in columns.items():
            if len(values) != len(self.images):
                raise DataError(
                    f"{column} has {len(values)} rows for {len(self.images)} images",
                    where=self.name,
                )

    def __len__(self) -> int:
        """Number of images."""
        return int(self.images.shape[0])

    def __getitem__(self, rows: slice | IntArray | BoolArray) -> ImageDataset:
        """Some rows: a slice gives a view, an index array or mask a copy."""
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            unit=self.unit[rows],
            groups=None if self.groups is None else self.groups[rows],
            attributes={name: values[rows] for name, values in self.attributes.items()},
            silo=None if self.silo is None else self.silo[rows],
            silo_names=self.silo_names,
        )

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def multi_label(self) -> bool:
        """Whether an image can have several labels."""
        return self.labels.ndim == 2

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width in pixels."""
        channels, height, width = self.images.shape[1:]
        return int(channels), int(height), int(width)

    @property
    def classes(self) -> IntArray:
        """``int64 [n]``: the label, or the first set label of a multi-hot row (for strata)."""
        if self.multi_label:
            first: IntArray = np.argmax(self.labels, axis=1)
            return first
        return self.labels.astype(np.int64)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all columns in order and of all names. Private: it never leaves."""
        optional = {"groups": self.groups, "silo": self.silo, **self.attributes}
        columns = {name: values for name, values in sorted(optional.items()) if values is not None}
        names: dict[str, Json] = {
            "arrays": hash_arrays(self.images, self.labels, self.unit, *columns.values()),
            "columns": list(columns),
            "class_names": list(self.class_names),
            "group_names": list(self.group_names),
            "about": [self.name, self.licence, self.source],
        }
        return hash_json(names)

    def of_classes(self, kept: IntArray) -> ImageDataset:
        """The images of some classes, numbered anew in the order given.

        Raises:
            DataError: Images with several labels.
        """
        if self.multi_label:
            raise DataError("images with several labels belong to no one class", where=self.name)
        number = np.full(self.n_classes, -1, dtype=np.int64)
        number[kept] = np.arange(len(kept))
        rows = np.flatnonzero(number[self.labels] >= 0)
        names = tuple(self.class_names[label] for label in kept)
        labels = number[self.labels[rows]]
        unnamed = replace(self[rows], labels=np.zeros(len(rows), dtype=np.int64))
        return replace(unnamed, labels=labels, class_names=names)

    def with_units(self, unit: IntArray) -> ImageDataset:
        """The same images with another column of units."""
        return replace(self, unit=unit)


def check_labels(labels: IntArray | BoolArray, n_classes: int, *, where: str) -> None:
    """Refuse labels that are not ``int64 [n]`` in range or ``bool [n, C]``.

    Raises:
        DataError: Wrong dtype, shape or range.
    """
    if labels.ndim == 2 and labels.dtype == np.bool_ and labels.shape[1] == n_classes:
        return
    if labels.ndim != 1 or labels.dtype != np.int64:
        raise DataError(
            f"labels must be int64 [n] or bool [n, {n_classes}], not {labels.dtype} "
            f"of shape {labels.shape}",
            where=where,
        )
    if len(labels) and (labels.min() < 0 or labels.max() >= n_classes):
        bad = labels[(labels < 0) | (labels >= n_classes)][0]
        raise DataError(
            f"label {bad} is out of range for {n_classes} classes",
            where=where,
            fix="Number the classes from 0 without gaps.",
        )


def concatenate(parts: Sequence[ImageDataset]) -> ImageDataset:
    """Stack collections of one kind; optional columns survive only where all have them.

    Raises:
        DataError: No parts, or parts of different shapes or classes.
    """
    if not parts:
        raise DataError("there is nothing to concatenate")
    first = parts[0]
    for part in parts[1:]:
        if part.image_shape != first.image_shape or part.class_names != first.class_names:
            raise DataError(
                f"collections differ: {first.image_shape} with {first.n_classes} classes and "
                f"{part.image_shape} with {part.n_classes}",
                where=f"{first.name}, {part.name}",
            )
    groups = [part.groups for part in parts if part.groups is not None]
    silos = [part.silo for part in parts if part.silo is not None]
    shared = set.intersection(*(set(part.attributes) for part in parts))
    return replace(
        first,
        images=np.concatenate([part.images for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        unit=np.concatenate([part.unit for part in parts]),
        groups=np.concatenate(groups) if len(groups) == len(parts) else None,
        silo=np.concatenate(silos) if len(silos) == len(parts) else None,
        silo_names=parts[0].silo_names,
        attributes={
            name: np.concatenate([part.attributes[name] for part in parts])
            for name in sorted(shared)
        },
    )


def refuse_overlap(
    members: npt.NDArray[np.generic], non_members: npt.NDArray[np.generic], *, where: str
) -> None:
    """Refuse records that are in both sets: no attack could be right about them.

    Args:
        members: Records ``[n, ...]``.
        non_members: Records ``[m, ...]`` of the same shape.
        where: What to name in the error.

    Raises:
        DataError: How many are in both, and the first.
    """
    known = {record.tobytes(): index for index, record in enumerate(members)}
    twice = [
        (known[key], index)
        for index, record in enumerate(non_members)
        if (key := record.tobytes()) in known
    ]
    if twice:
        raise DataError(
            f"{len(twice)} of {len(non_members)} non-members are members too, such as non-member "
            f"{twice[0][1]} and member {twice[0][0]} (counted from 0)",
            where=where,
            fix="Non-members must be records the model has never seen.",
        )
