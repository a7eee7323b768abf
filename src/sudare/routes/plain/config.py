"""Configuration of the plain classifier."""

from __future__ import annotations

from typing import ClassVar, Literal

from sudare.routes.config import TrainedConfig

__all__ = ["PlainConfig"]


class PlainConfig(TrainedConfig):
    """A classifier trained with hard labels and no protection."""

    baseline: ClassVar[bool] = True

    kind: Literal["plain"] = "plain"

    @property
    def label(self) -> str:
        """Name for charts and tables."""
        return "Plain classifier"

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return "A classifier trained on the private images in the ordinary way."
