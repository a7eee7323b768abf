"""What is in a collection, and what to know about it before anything is drawn."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from sudare.core.arrays import BoolArray, IntArray
from sudare.data.duplicates import duplicate_clusters, exact_clusters
from sudare.data.images import ImageDataset, concatenate
from sudare.data.sources.source import Source

__all__ = ["Description", "describe"]


class Description(BaseModel):
    """Counts of a collection.

    Attributes:
        duplicates: Class to extra exact copies (copies beyond the first) inside the training part.
        near_duplicates: Extra images within the near-duplicate radius, exact ones included.
        across_splits: Test images that also occur in the training part, exactly or nearly.
        label_conflicts: Groups of identical images that carry different labels.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    licence: str
    source: str
    splits: dict[str, int]
    image_shape: tuple[int, int, int]
    per_class: dict[str, int]
    units: int
    duplicates: dict[str, int]
    near_duplicates: int
    across_splits: int
    label_conflicts: int

    def to_text(self) -> str:
        """The description as lines for a terminal."""
        channels, height, width = self.image_shape
        splits = ", ".join(f"{name} {count:,}" for name, count in self.splits.items())
        copies = sum(self.duplicates.values())
        shares = ", ".join(f"{count} {name}" for name, count in self.duplicates.items() if count)
        lines = [
            f"{self.name}: {sum(self.splits.values()):,} images ({splits})",
            f"  source   {self.source}",
            f"  licence  {self.licence}",
            f"  size     {width} x {height} pixels, {'grey' if channels == 1 else 'colour'}",
            "  classes (training part)",
            *(f"    {name:<20} {count:>7,}" for name, count in self.per_class.items()),
            f"  units    {self.units:,} (images of one unit are in or out together)",
            f"  exact duplicates in the training part: {copies}"
            + (f" ({shares})" if copies else ""),
            f"  near-duplicates in the training part:  {self.near_duplicates}",
            f"  test images also in the training part: {self.across_splits}",
        ]
        if self.label_conflicts:
            lines.append(f"  identical images with different labels: {self.label_conflicts} groups")
        return "\n".join(lines)


def describe(source: Source) -> Description:
    """Count classes, units, duplicates and near-duplicates of a collection."""
    train = source.train
    clusters = exact_clusters(train.images)
    near = duplicate_clusters(train.images)
    return Description(
        name=source.name,
        licence=source.licence,
        source=source.source,
        splits=dict(source.splits),
        image_shape=train.image_shape,
        per_class=_per_class(train, np.ones(len(train), dtype=bool)),
        units=len(np.unique(train.unit)),
        duplicates=_per_class(train, _is_copy(clusters)),
        near_duplicates=len(train) - len(np.unique(near)),
        across_splits=_across(source),
        label_conflicts=_conflicts(clusters, train.classes),
    )


def _per_class(data: ImageDataset, chosen: BoolArray) -> dict[str, int]:
    counts = np.bincount(data.classes[chosen], minlength=data.n_classes)
    return dict(zip(data.class_names, (int(count) for count in counts), strict=True))


def _is_copy(clusters: IntArray) -> BoolArray:
    copy = np.ones(len(clusters), dtype=bool)
    copy[np.unique(clusters, return_index=True)[1]] = False
    return copy


def _across(source: Source) -> int:
    if source.test is None:
        return 0
    whole = concatenate([source.test, source.train])
    near = duplicate_clusters(whole.images)
    return int(np.isin(near[: len(source.test)], near[len(source.test) :]).sum())


def _conflicts(clusters: IntArray, classes: IntArray) -> int:
    pairs = np.unique(np.stack([clusters, classes], axis=1), axis=0)
    return int((np.bincount(pairs[:, 0]) > 1).sum())
