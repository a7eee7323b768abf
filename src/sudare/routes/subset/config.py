"""Configuration of the real subset."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sudare.routes.config import RouteConfig

__all__ = ["SubsetConfig"]


class SubsetConfig(RouteConfig):
    """k random private images of each class, as they are."""

    route: ClassVar[str] = "sudare.routes.subset.build:SubsetRoute"
    baseline: ClassVar[bool] = True
    release_kind: ClassVar[str] = "samples"

    kind: Literal["subset"] = "subset"
    images_per_class: int = Field(default=10, ge=1, description="Real images of each class.")

    @property
    def name(self) -> str:
        """Name of the release within a run."""
        return f"subset-{self.images_per_class}"

    @property
    def label(self) -> str:
        """Name for charts and tables."""
        return f"{self.images_per_class} real images a class"

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return f"{self.images_per_class} real private images of each class, unchanged."
