"""Configuration of DP-SGD."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sudare.routes.config import TrainedConfig
from sudare.training.recipe import DpConfig, Recipe

__all__ = ["DpsgdConfig"]


class DpsgdConfig(TrainedConfig):
    """A classifier trained with clipped, noised gradients."""

    baseline: ClassVar[bool] = True

    kind: Literal["dpsgd"] = "dpsgd"
    # A large batch, no weight decay and no views: each costs accuracy under noise.
    recipe: Recipe = Field(
        default=Recipe(batch_size=256, lr=0.5, weight_decay=0.0, augmentation=()),
        description="How it is trained; batch_size is the expected size.",
    )
    privacy: DpConfig = Field(default=DpConfig(), description="Budget and clipping.")

    @property
    def name(self) -> str:
        """Name of the release within a run."""
        if self.privacy.target_epsilon is not None:
            return f"dpsgd-eps{self.privacy.target_epsilon:g}"
        return f"dpsgd-noise{self.privacy.noise_multiplier:g}"

    @property
    def label(self) -> str:
        """Name for charts and tables."""
        if self.privacy.target_epsilon is not None:
            return f"DP-SGD, epsilon {self.privacy.target_epsilon:g}"
        return f"DP-SGD, noise {self.privacy.noise_multiplier:g}"

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return "A classifier trained with clipped gradients and noise (DP-SGD)."
