"""Configuration of label smoothing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sudare.routes.config import TrainedConfig
from sudare.training.recipe import SmoothingSchedule

__all__ = ["SmoothingConfig"]


class SmoothingConfig(TrainedConfig):
    """A classifier trained on labels (1 - alpha) y + alpha / C."""

    kind: Literal["smoothing"] = "smoothing"
    alpha: float = Field(
        default=0.1, le=1.0, description="Strength; positive smooths, negative sharpens."
    )
    schedule: SmoothingSchedule = Field(
        default="paper", description="How a negative alpha is phased in."
    )

    @property
    def name(self) -> str:
        """Name of the release within a run."""
        return f"smoothing{self.alpha:+g}"

    @property
    def label(self) -> str:
        """Name for charts and tables."""
        return f"Label smoothing {self.alpha:+g}"

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return f"A classifier trained with label smoothing of strength {self.alpha:+g}."
