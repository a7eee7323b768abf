"""What every source gives: its official splits, with units numbered across all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sudare.core.arrays import BoolArray, ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.core.progress import Progress, Silent
from sudare.data.duplicates import exact_clusters
from sudare.data.images import ImageDataset, concatenate

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from PIL.Image import Image

TEST = "test"
"""The official split that becomes ``Source.test``; all others are part of ``Source.train``."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a loader is asked for.

    Attributes:
        name: A source's name, ``NAME:PATH`` for its files elsewhere, or the path of the user's own.
        cache: Folder for downloads.
        image_size: Height and width in pixels to resize to, or None to leave the size alone.
        progress: Where long work reports to.
    """

    name: str
    cache: Path
    image_size: int | None = None
    progress: Progress = field(default_factory=Silent)


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A collection as its owner published it.

    Attributes:
        train: All official splits but the test set, in order.
        test: The official test set, or None. Units are numbered apart from ``train``'s, except
            where they really are the same.
        name: Short name.
        licence: Licence in words.
        source: Where it comes from, in words, with attribution.
        splits: Official split to its number of images.
        notes: What was assumed or left out when it was read, a sentence each.
        unit_names: What the owner calls each unit, by its number; empty where they have no names.
            They stay in memory.

    Raises:
        DataError: Train and test of different shapes or classes.
    """

    train: ImageDataset
    test: ImageDataset | None
    name: str
    licence: str
    source: str
    splits: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unit_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.test is None:
            return
        same = self.train.image_shape == self.test.image_shape
        if not same or self.train.class_names != self.test.class_names:
            raise DataError(
                f"train has images of shape {self.train.image_shape} in {self.train.n_classes} "
                f"classes, test {self.test.image_shape} in {self.test.n_classes}",
                where=self.name,
            )


Loader: TypeAlias = Callable[[Request], Source]
"""What stands behind a name in the registry."""


def assemble(
    splits: Mapping[str, tuple[ByteArray, IntArray | BoolArray]],
    *,
    class_names: tuple[str, ...],
    name: str,
    licence: str,
    source: str,
    image_size: int | None = None,
) -> Source:
    """Make a source of official splits.

    The unit is the exact duplicate cluster over all splits, so that a picture in both train and
    test is one unit.

    Args:
        splits: Split name to images ``uint8 [n, c, h, w]`` and labels (``int64 [n]`` or multi-hot
            ``bool [n, C]``), in order; ``test`` last where there is one.
        class_names: One name per class.
        name: Short name.
        licence: Licence in words.
        source: Attribution in words.
        image_size: Height and width in pixels to resize to.

    Raises:
        DataError: No training image, labels out of range, or splits of different shapes.
    """
    parts = [
        ImageDataset(
            images=images if image_size is None else resized(images, image_size),
            labels=labels,
            class_names=class_names,
            unit=np.arange(len(images)),
            name=name,
            licence=licence,
            source=source,
        )
        for images, labels in splits.values()
    ]
    whole = concatenate(parts)
    sizes = {split: len(part) for split, part in zip(splits, parts, strict=True)}
    return divided(whole.with_units(exact_clusters(whole.images)), sizes)


def divided(whole: ImageDataset, sizes: Mapping[str, int]) -> Source:
    """Cut a collection whose last rows are the official test set.

    Args:
        whole: All splits in order.
        sizes: Split name to its number of images, in the same order.

    Raises:
        DataError: No training image.
    """
    held_out = sizes.get(TEST, 0)
    boundary = len(whole) - held_out
    if not boundary:
        raise DataError("there is no training image", where=whole.name)
    return Source(
        train=whole[:boundary],
        test=whole[boundary:] if held_out else None,
        name=whole.name,
        licence=whole.licence,
        source=whole.source,
        splits=dict(sizes),
    )


def resized(images: UInt8[ByteArray, "n c h w"], size: int) -> UInt8[ByteArray, "n c size size"]:
    """The same images as squares of ``size`` pixels."""
    if images.shape[2:] == (size, size):
        return images
    from PIL import Image

    smaller = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    for row, image in enumerate(images):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        smaller[row] = channels_first(square(Image.fromarray(pixels), size))
    return smaller


def square(image: Image, size: int) -> Image:
    """The largest centred square of an image, resampled (bicubic) to ``size`` pixels."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (size, size), method=Image.Resampling.BICUBIC)


def channels_first(image: Image) -> UInt8[ByteArray, "c h w"]:
    """A grey or RGB image as ``uint8 [c, h, w]``."""
    pixels: ByteArray = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
