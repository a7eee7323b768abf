"""What is in a collection, and what to know about it before anything is drawn."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sudare.core.arrays import BoolArray, IntArray
from sudare.core.limits import MAX_SIZE_PX, MIN_SIZE_PX
from sudare.core.progress import Progress, Silent
from sudare.data.duplicates import duplicate_clusters, exact_clusters
from sudare.data.images import ImageDataset, concatenate
from sudare.data.sources.source import Source

NEAR_LIMIT = 20_000
"""Images up to which near-duplicates are looked for unasked; the work grows with the square."""


class PartCounts(BaseModel):
    """Counts of the training or the test part, by class in the order of ``class_names``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: tuple[int, ...]
    exact_copies: tuple[int, ...] = Field(
        description="Images identical to an earlier one of the same part."
    )


class Description(BaseModel):
    """Counts of a collection. Private: they are of the owner's images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    licence: str
    source: str
    image_shape: tuple[int, int, int] = Field(description="Channels, height and width in pixels.")
    class_names: tuple[str, ...]
    splits: dict[str, int] = Field(description="Official split to its number of images.")
    units: int = Field(description="Distinct units; images of one are in or out together.")
    multi_label: bool = Field(description="Whether an image can be of several classes.")
    parts: dict[str, PartCounts] = Field(description="Counts of train, and of test if any.")
    test_in_train: int = Field(description="Test images identical to a training image.")
    near_copies: int | None = Field(
        description="Images nearly but not exactly like another that was counted before; "
        "None if not looked for."
    )
    label_conflicts: int = Field(description="Groups of identical images with different labels.")
    notes: tuple[str, ...] = Field(
        default=(), description="What was assumed or left out when it was read."
    )


def describe(
    source: Source, *, near: bool | None = None, progress: Progress | None = None
) -> Description:
    """Count classes, units, duplicates and conflicts of a collection.

    Args:
        source: The collection.
        near: Whether to look for near-duplicates (``data.duplicates.NEAR_RMS``); None: up to
            ``NEAR_LIMIT`` images.
        progress: Where to report.
    """
    named = {"train": source.train} | ({} if source.test is None else {"test": source.test})
    whole = concatenate(list(named.values()))
    clusters = exact_clusters(whole.images)
    seen = clusters[: len(source.train)]
    if near is None:
        near = len(whole) <= NEAR_LIMIT
    return Description(
        name=source.name,
        licence=source.licence,
        source=source.source,
        image_shape=whole.image_shape,
        class_names=whole.class_names,
        splits=dict(source.splits),
        units=len(np.unique(whole.unit)),
        multi_label=whole.multi_label,
        parts={name: _counts(part) for name, part in named.items()},
        test_in_train=int(np.isin(clusters[len(source.train) :], seen).sum()),
        near_copies=_near_copies(whole, clusters, progress or Silent()) if near else None,
        label_conflicts=_conflicts(clusters, whole),
        notes=(*source.notes, *_odd(whole, clusters)),
    )


def _odd(whole: ImageDataset, clusters: IntArray) -> tuple[str, ...]:
    """What no audit can work with, in words."""
    found = []
    _, height, width = whole.image_shape
    if not all(MIN_SIZE_PX <= side <= MAX_SIZE_PX for side in (height, width)):
        found.append(
            f"nets on pixels take {MIN_SIZE_PX} to {MAX_SIZE_PX} pixels a side and these have "
            f"{width} x {height}: set data.image_size, or use routes over features"
        )
    if whole.n_classes < 2:
        found.append("there is one class: a classifier needs at least two")
    if len(np.unique(clusters)) < len(whole) / 2:
        found.append(
            f"only {len(np.unique(clusters)):,} of {len(whole):,} images are distinct; identical "
            "ones are in or out together"
        )
    return tuple(found)


def _counts(part: ImageDataset) -> PartCounts:
    copy = np.ones(len(part), dtype=bool)
    copy[np.unique(exact_clusters(part.images), return_index=True)[1]] = False
    return PartCounts(
        images=_per_class(part, np.ones(len(part), dtype=bool)),
        exact_copies=_per_class(part, copy),
    )


def _per_class(part: ImageDataset, chosen: BoolArray) -> tuple[int, ...]:
    if part.multi_label:
        counts = part.labels[chosen].sum(axis=0)
    else:
        counts = np.bincount(part.classes[chosen], minlength=part.n_classes)
    return tuple(int(count) for count in counts)


def _near_copies(whole: ImageDataset, clusters: IntArray, progress: Progress) -> int:
    with progress.stage(f"look for near-duplicates among {len(whole):,} images", 1) as task:
        near = duplicate_clusters(whole.images)
        task.advance()
    return len(np.unique(clusters)) - len(np.unique(near))


def _conflicts(clusters: IntArray, whole: ImageDataset) -> int:
    labels = np.unique(whole.labels.reshape(len(whole), -1), axis=0, return_inverse=True)[1]
    pairs = np.unique(np.stack([clusters, labels.reshape(-1)], axis=1), axis=0)
    return int((np.bincount(pairs[:, 0]) > 1).sum())
