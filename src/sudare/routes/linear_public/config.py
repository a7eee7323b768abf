"""Configuration of the linear head on public features."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from sudare.nets.registry import NetConfig
from sudare.routes.config import TrainedConfig
from sudare.training.recipe import DpConfig, Recipe

__all__ = ["LinearPublicConfig"]

FIXED = ("random-features",)
"""Nets of which only the head is trained."""


class LinearPublicConfig(TrainedConfig):
    """A linear classifier on fixed public features, plain or with DP-SGD."""

    baseline: ClassVar[bool] = True
    own_fields: ClassVar[frozenset[str]] = frozenset({"net", "recipe"})

    kind: Literal["linear-public"] = "linear-public"
    net: NetConfig = Field(
        default=NetConfig(name="random-features"), description="Fixed features and a head."
    )
    recipe: Recipe = Field(
        default=Recipe(batch_size=256, lr=0.1, weight_decay=0.0, augmentation=()),
        description="How the head is trained.",
    )
    privacy: DpConfig | None = Field(default=None, description="Budget; none for a plain head.")

    @field_validator("net")
    @classmethod
    def _features_are_fixed(cls, net: NetConfig) -> NetConfig:
        if net.name not in FIXED:
            raise ValueError(
                f"the features of {net.name} are trained on private images; "
                f"linear-public takes {', '.join(FIXED)}"
            )
        return net

    @property
    def name(self) -> str:
        """Name of the release within a run."""
        if self.privacy is None:
            return "linear-public"
        budget = self.privacy.target_epsilon
        noise = self.privacy.noise_multiplier
        return f"linear-public-{f'eps{budget:g}' if budget else f'noise{noise:g}'}"

    @property
    def label(self) -> str:
        """Name for charts and tables."""
        if self.privacy is None:
            return "Linear head, public features"
        return f"Linear head, {self.name.rpartition('-')[2].replace('eps', 'epsilon ')}"

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return "A linear classifier on features that no private image has shaped."
