"""A class-conditional generator of images."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_STAGES = 2
_RANGE = 2.0
"""Generated pixels lie within two units of normalised grey, which is 0 to 255."""


class _ConditionalNorm(nn.Module):
    """Group norm with a scale and an offset for each class."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(min(8, channels), channels, affine=False)
        self.style = nn.Linear(condition, 2 * channels)

    def forward(self, values: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        scale, offset = self.style(condition)[:, :, None, None].chunk(2, dim=1)
        normed: torch.Tensor = self.norm(values) * (1 + scale) + offset
        return normed


class Generator(nn.Module):
    """Latent and class to an image: a linear layer and two stages of transposed convolutions.

    Args:
        image_shape: Channels, height, width.
        classes: Number of classes.
        latent: Length of the latent.
        width: Channels of the last stage; twice that in the one before.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], classes: int, *, latent: int, width: int
    ) -> None:
        super().__init__()
        channels, height, width_px = image_shape
        self.latent, self._shape = latent, image_shape
        self._first = tuple(math.ceil(side / 2**_STAGES) for side in (height, width_px))
        widths = [width * 2**stage for stage in range(_STAGES, -1, -1)]
        self.embedding = nn.Embedding(classes, latent)
        self.start = nn.Linear(2 * latent, widths[0] * math.prod(self._first))
        self.norms = nn.ModuleList(_ConditionalNorm(w, 2 * latent) for w in widths)
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)
            for before, after in itertools.pairwise(widths)
        )
        self.end = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(
        self, latent: Float[torch.Tensor, "n z"], labels: Int[torch.Tensor, " n"]
    ) -> Float[torch.Tensor, "n c h w"]:
        """Normalised images, within -2 and 2."""
        condition = torch.cat([latent, self.embedding(labels)], dim=1)
        values = self.start(condition).reshape(len(latent), -1, *self._first)
        for stage, norm in enumerate(self.norms):
            values = functional.relu(norm(values, condition))
            if stage < _STAGES:
                values = self.convolutions[stage](values)
        images: torch.Tensor = _RANGE * torch.tanh(self.end(values))
        _, height, width = self._shape
        return images[:, :, :height, :width]
