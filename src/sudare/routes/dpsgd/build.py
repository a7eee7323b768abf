"""Builds a classifier with DP-SGD."""

from __future__ import annotations

from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.routes.base import Build, Route
from sudare.routes.classifier import build_classifier
from sudare.routes.dpsgd.config import DpsgdConfig

__all__ = ["DpsgdRoute"]


class DpsgdRoute(Route[DpsgdConfig]):
    """Trains one net with DP-SGD.

    Source:
        Abadi et al. 2016, "Deep learning with differential privacy"; expected batches
        divide by the expected size.
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
        return build_classifier(
            self.config,
            self.config.recipe,
            private,
            seed=seed,
            leaves=leaves,
            device=device,
            progress=progress,
            privacy=self.config.privacy,
        )
