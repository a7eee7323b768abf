"""Builds the plain classifier."""

from __future__ import annotations

from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.routes.base import Build, Route
from sudare.routes.classifier import build_classifier
from sudare.routes.plain.config import PlainConfig

__all__ = ["PlainRoute"]


class PlainRoute(Route[PlainConfig]):
    """Trains one net on all private images of the build."""

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
        )
