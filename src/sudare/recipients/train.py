"""Recipients' models: several nets trained on one released set, seeded by build and index."""

from __future__ import annotations

import torch

from sudare import nets
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.recipients.config import RecipientConfig
from sudare.releases.kinds import LogitsView, SamplesRelease
from sudare.training.loop import TrainingData, train

__all__ = ["recipients_view", "train_recipients"]


def train_recipients(
    release: SamplesRelease,
    config: RecipientConfig,
    *,
    seed: int,
    device: str,
    progress: Progress,
) -> tuple[torch.nn.Module, ...]:
    """Train ``config.count`` nets on the set, each from its own seed."""
    data = TrainingData.of(release.images, release.soft_labels, device=device)
    trained = []
    for index in range(config.count):
        net = nets.build(
            config.net,
            image_shape=release.card.image_shape,
            n_classes=len(release.card.class_names),
            seed=integer_seed(seed, "recipient weights", index),
        ).to(device)
        train(
            net,
            data,
            config.recipe,
            seed=integer_seed(seed, "recipient", index),
            progress=progress,
            label=f"recipient {index + 1} of {config.count}",
        )
        trained.append(net.eval())
    return tuple(trained)


def recipients_view(trained: tuple[torch.nn.Module, ...], *, device: str) -> LogitsView:
    """What an attacker sees who can only query the recipients' models."""
    return LogitsView(trained, device)
