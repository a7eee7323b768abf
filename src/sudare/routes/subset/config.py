"""Configuration of the real subset."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sudare.core.wording import say
from sudare.routes.config import RouteConfig


class SubsetConfig(RouteConfig):
    """k random private images of each class, as they are; or as many at random from all."""

    route: ClassVar[str] = "sudare.routes.subset.build:SubsetRoute"
    baseline: ClassVar[bool] = True
    release_kind: ClassVar[str] = "samples"

    kind: Literal["subset"] = "subset"
    images_per_class: int = Field(default=10, ge=1, description="Real images of each class.")
    classes: Literal["equal", "shares"] = Field(
        default="equal",
        description="equal: so many of each class; shares: as many in all, drawn from all at "
        "random, so that classes keep about the shares they have.",
    )

    @property
    def wanted_of_each_class(self) -> int:
        """As many as are chosen."""
        return self.images_per_class

    @property
    def default_name(self) -> str:
        """Name of the release within a run."""
        return f"subset-{self.images_per_class}{'' if self._equal else '-shares'}"

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        return say(
            "label.subset" if self._equal else "label.subset_shares", count=self.images_per_class
        )

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        key = "leaves.subset" if self._equal else "leaves.subset_shares"
        return say(key, count=self.images_per_class)

    @property
    def _equal(self) -> bool:
        return self.classes == "equal"
