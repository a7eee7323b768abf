"""What findings need to know of images beside scores: never a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sudare.core.arrays import IntArray


class Labelled(Protocol):
    """What findings need to know of images, beside scores."""

    @property
    def classes(self) -> IntArray:
        """``int64 [n]``."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class."""

    @property
    def groups(self) -> IntArray | None:
        """Optional ``int64 [n]``."""

    @property
    def group_names(self) -> tuple[str, ...]:
        """One name per group."""


class LabelledParts(Protocol):
    """Pool and test."""

    @property
    def pool(self) -> Labelled:
        """Images whose membership is in question."""

    @property
    def test(self) -> Labelled:
        """Images for scoring."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """Columns of images that are not at hand."""

    classes: IntArray
    class_names: tuple[str, ...]
    groups: IntArray | None = None
    group_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReleaseRef:
    """What findings call a release.

    Attributes:
        name: Name of the release.
        kind: Name of the route.
        label: Name for people.
    """

    name: str
    kind: str
    label: str
