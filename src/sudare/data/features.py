"""Rows of features instead of pixels: tables, or embeddings of anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, Float32Array, IntArray
from sudare.core.errors import DataError
from sudare.core.hashing import hash_arrays
from sudare.data.images import check_labels

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureDataset:
    """Feature vectors with the same columns as an ``ImageDataset``.

    Attributes:
        features: ``float32 [n, d]``, finite.
        labels: ``int64 [n]`` or multi-hot ``bool [n, C]``.
        class_names: One name per class.
        unit: ``int64 [n]``; rows that are in or out together.
        groups: Optional ``int64 [n]``.
        name: Short name.
        licence: Licence in words.
        source: Where it comes from, in words.

    Raises:
        DataError: Shapes, dtypes, labels or values that do not fit.
    """

    features: Float[Float32Array, "n d"]
    labels: IntArray | BoolArray
    class_names: tuple[str, ...]
    unit: Int[IntArray, " n"]
    groups: IntArray | None = None
    name: str = "features"
    licence: str = "unknown"
    source: str = "unknown"

    def __post_init__(self) -> None:
        if self.features.dtype != np.float32 or self.features.ndim != 2:
            raise DataError(
                f"features must be float32 [n, d], not {self.features.dtype} "
                f"of shape {self.features.shape}",
                where=self.name,
            )
        if not np.isfinite(self.features).all():
            row = int(np.flatnonzero(~np.isfinite(self.features).all(axis=1))[0])
            raise DataError(f"features of row {row} are not finite", where=self.name)
        check_labels(self.labels, len(self.class_names), where=self.name)
        columns = [self.labels, self.unit] + ([] if self.groups is None else [self.groups])
        if any(len(column) != len(self.features) for column in columns):
            raise DataError("columns differ in length", where=self.name)

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.features.shape[0])

    def __getitem__(self, rows: slice | IntArray | BoolArray) -> FeatureDataset:
        """Some rows: a slice gives a view, an index array or mask a copy."""
        return replace(
            self,
            features=self.features[rows],
            labels=self.labels[rows],
            unit=self.unit[rows],
            groups=None if self.groups is None else self.groups[rows],
        )

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of features, labels and units in order. Private."""
        return hash_arrays(self.features, self.labels, self.unit)
