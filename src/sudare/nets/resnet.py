"""Residual nets with group norm: no image sees another, as per-sample gradients need."""

from __future__ import annotations

import torch
from torch import nn


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(8, channels), channels)


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, projected where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            _norm(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            _norm(after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), _norm(after)
            )
        self.activation = nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.activation(self.body(images) + self.shortcut(images))
        return result


class ResNet(nn.Module):
    """A 3 x 3 stem, stages of residual blocks that halve the size, mean pooling, linear.

    Args:
        channels: Image channels.
        classes: Number of outputs.
        widths: Channels of each stage.
        blocks: Residual blocks in each stage.

    Source:
        He et al. 2016, "Deep residual learning", §4.2 (6n + 2 layers), group norm for batch norm.
    """

    def __init__(
        self, channels: int, classes: int, *, widths: tuple[int, ...], blocks: int
    ) -> None:
        super().__init__()
        stem = [nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False), _norm(widths[0]), nn.ReLU()]
        stages, before = [], widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stages.append(_Block(before, width, 2 if stage and not block else 1))
                before = width
        self.features = nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(before, classes)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Pooled features before the linear layer, ``[n, width]``."""
        flat: torch.Tensor = self.features(images).flatten(1)
        return flat

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[n, classes]`` of normalised images ``[n, c, h, w]``."""
        logits: torch.Tensor = self.classifier(self.embed(images))
        return logits


def resnet9(
    shape: tuple[int, int, int], classes: int, *, width: int | None, depth: int | None
) -> nn.Module:
    """Four stages of one block, 1 + 4 * 2 weighted layers before the head; width 32 doubling."""
    first = width or 32
    widths = tuple(first * 2**stage for stage in range(4))
    return ResNet(shape[0], classes, widths=widths, blocks=1)


def resnet14(
    shape: tuple[int, int, int], classes: int, *, width: int | None, depth: int | None
) -> nn.Module:
    """6n + 2 layers with n = 2 (``depth`` is n); widths 16, 32 and 64 by default."""
    first = width or 16
    return ResNet(shape[0], classes, widths=(first, 2 * first, 4 * first), blocks=depth or 2)


def resnet18(
    shape: tuple[int, int, int], classes: int, *, width: int | None, depth: int | None
) -> nn.Module:
    """Four stages of two blocks; widths 64 to 512 by default, a 3 x 3 stem, no max-pooling."""
    first = width or 64
    widths = tuple(first * 2**stage for stage in range(4))
    return ResNet(shape[0], classes, widths=widths, blocks=2)
