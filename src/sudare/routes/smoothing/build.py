"""Builds a classifier with smoothed labels."""

from __future__ import annotations

from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.routes.base import Build, Route
from sudare.routes.classifier import build_classifier
from sudare.routes.smoothing.config import SmoothingConfig

__all__ = ["SmoothingRoute"]


class SmoothingRoute(Route[SmoothingConfig]):
    """Trains one net against smoothed labels.

    Source:
        Struppek, Hintersdorf and Kersting 2024, "Be careful what you smooth for".
    """

    def _build(
        self,
        private: ImageDataset,
        *,
        public: ImageDataset,
        seed: int,
        leaves: bool,
        device: str,
        progress: Progress,
    ) -> Build:
        recipe = self.config.recipe.model_copy(
            update={
                "label_smoothing": self.config.alpha,
                "smoothing_schedule": self.config.schedule,
            }
        )
        return build_classifier(
            self.config, recipe, private, seed=seed, leaves=leaves, device=device, progress=progress
        )
