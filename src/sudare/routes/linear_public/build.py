"""Builds the linear head on public features."""

from __future__ import annotations

from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.routes.base import Build, Route
from sudare.routes.classifier import build_classifier
from sudare.routes.linear_public.config import LinearPublicConfig

__all__ = ["LinearPublicRoute"]


class LinearPublicRoute(Route[LinearPublicConfig]):
    """Trains the head only; the filters are drawn from a constant seed."""

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
