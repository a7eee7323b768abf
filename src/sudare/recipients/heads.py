"""Heads on features: trained on samples that are drawn anew in every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from sudare.core.arrays import ByteArray, Float32Array, FloatArray
from sudare.core.errors import ReleaseError
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.nets.extractors.base import Extractor
from sudare.nets.extractors.features import FeatureStore, features_of
from sudare.recipients.config import HeadConfig
from sudare.releases.kinds import FeatureSource

if TYPE_CHECKING:
    from jaxtyping import Float


class Head(nn.Module):
    """Standardises features by constants it learned from samples, then a linear net or an mlp.

    Args:
        dim: Length of a feature vector.
        classes: Number of outputs.
        config: Its shape.
        seed: Seed of the weights.
    """

    def __init__(self, dim: int, classes: int, config: HeadConfig, *, seed: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net: nn.Module = nn.Linear(dim, classes)
            if config.net == "mlp":
                self.net = nn.Sequential(
                    nn.Linear(dim, config.width), nn.ReLU(), nn.Linear(config.width, classes)
                )

    def forward(self, features: Float[torch.Tensor, "n d"]) -> Float[torch.Tensor, "n C"]:
        """Logits."""
        logits: torch.Tensor = self.net(
            (features - self.get_buffer("mean")) / self.get_buffer("std")
        )
        return logits


class FeatureNet(nn.Module):
    """Extractor and head as one net of images; features at hand are not computed again.

    Args:
        extractor: The frozen net; its weights are no part of the state, which is the head's.
        head: What was trained.
        book: Features computed before.
        progress: Where to report what is computed.
    """

    def __init__(
        self,
        extractor: Extractor,
        head: Head,
        book: FeatureStore | None = None,
        *,
        progress: Progress | None = None,
    ) -> None:
        super().__init__()
        self.head, self._progress = head, progress
        # In a tuple, so that its weights are not taken for the head's.
        self._extractor, self._book = (extractor,), book or FeatureStore()

    def forward(self, images: Float[torch.Tensor, "n c h w"]) -> Float[torch.Tensor, "n C"]:
        """Logits of normalised images; differentiable down to the pixels."""
        extractor = self._extractor[0].to(images.device)
        logits: torch.Tensor = self.head(extractor(images))
        return logits

    def features(self, images: ByteArray, *, device: str) -> Float32Array:
        """Features of uint8 images, ``float32 [n, d]``."""
        return features_of(
            self._extractor[0], images, book=self._book, device=device, progress=self._progress
        )

    def answer(self, images: ByteArray, *, device: str) -> FloatArray:
        """Logits of uint8 images, ``float64 [n, C]``."""
        features = torch.from_numpy(self.features(images, device=device)).to(device)
        with torch.inference_mode():
            logits: FloatArray = self.head(features).double().cpu().numpy()
        return logits


def train_head(
    training_set: FeatureSource, config: HeadConfig, *, seed: int, device: str, progress: Progress
) -> Head:
    """Train a head with Adam on samples of every class, equally many, new in each epoch.

    Raises:
        ReleaseError: The samples are not finite, or training diverged.
    """
    head = Head(
        training_set.dim, training_set.n_classes, config, seed=integer_seed(seed, "head weights")
    )
    head.to(device)
    rng = torch.Generator(device).manual_seed(integer_seed(seed, "draws"))
    order = torch.Generator().manual_seed(integer_seed(seed, "order"))
    labels = torch.arange(training_set.n_classes, device=device).repeat_interleave(config.per_class)
    first = training_set.draw(labels, rng)
    if not bool(first.isfinite().all()):
        raise ReleaseError("the release draws features that are not finite", where="sampler")
    head.get_buffer("mean").copy_(first.mean(dim=0))
    # A number that never varies says nothing, and must not be blown up where images vary.
    spread = first.std(dim=0) if len(first) > 1 else torch.ones_like(first[0])
    head.get_buffer("std").copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    with progress.stage("head", config.epochs) as bar:
        for epoch in range(config.epochs):
            drawn = first if epoch == 0 else training_set.draw(labels, rng)
            for rows in torch.randperm(len(labels), generator=order).split(config.batch_size):
                loss = nn.functional.cross_entropy(head(drawn[rows]), labels[rows])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
            bar.advance()
    if not all(bool(p.isfinite().all()) for p in head.parameters()):
        raise ReleaseError("training a head on the samples diverged", where="sampler")
    return head.eval()
