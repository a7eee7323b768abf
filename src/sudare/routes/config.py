"""What every route's configuration has; imports nothing heavy."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from sudare.nets.registry import NetConfig
from sudare.releases.card import Kind
from sudare.training.recipe import Recipe

__all__ = ["RouteConfig", "TrainedConfig"]


class RouteConfig(BaseModel):
    """What every route's configuration has."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    baseline: ClassVar[bool] = False
    release_kind: ClassVar[Kind]
    own_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that make the route what it is: defaults of a whole run do not touch them."""

    kind: str = Field(description="Name of the route.")

    @property
    def name(self) -> str:
        """Name of the release within a run, such as ``dpsgd-eps8``."""
        return self.kind

    @property
    def label(self) -> str:
        """Name for charts and tables."""
        return self.kind

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return ""

    @property
    def recipe_of_scores(self) -> Recipe | None:
        """How the net that an attacker queries is trained; None if recipients train it."""
        return None


class TrainedConfig(RouteConfig):
    """A route that trains one classifier."""

    release_kind: ClassVar[Kind] = Kind.CLASSIFIER

    net: NetConfig = Field(default=NetConfig(), description="Architecture.")
    recipe: Recipe = Field(default=Recipe(), description="How it is trained.")

    @property
    def recipe_of_scores(self) -> Recipe | None:
        """How the net that an attacker queries is trained."""
        return self.recipe
