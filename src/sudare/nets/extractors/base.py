"""What every extractor is: a frozen net with a fingerprint."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import nn

from sudare.nets.normalisation import grey_levels

if TYPE_CHECKING:
    from jaxtyping import Float


class Extractor(nn.Module):
    """A frozen net: normalised images of any size in, one feature vector each out.

    Args:
        backbone: Takes ``[n, 3, size, size]`` in its own normalisation and gives ``[n, d]``.
        size_px: Side of the square that images are resized to.
        mean: Subtracted from grey levels 0 to 255, one for each channel.
        std: What they are divided by.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        size_px: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.backbone, self.size_px = backbone.requires_grad_(False).eval(), size_px
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def train(self, mode: bool = True) -> Extractor:
        """It never trains: its batch norm keeps the statistics it came with."""
        return super().train(False)

    def forward(self, images: Float[torch.Tensor, "n c h w"]) -> Float[torch.Tensor, "n d"]:
        """Features ``[n, d]`` of normalised images; differentiable down to the pixels."""
        pixels = grey_levels(images)
        if pixels.shape[1] == 1:
            pixels = pixels.expand(-1, 3, -1, -1)
        if pixels.shape[-2:] != (self.size_px, self.size_px):
            pixels = nn.functional.interpolate(
                pixels, size=(self.size_px, self.size_px), mode="bicubic", antialias=True
            ).clamp(0, 255)
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        features: torch.Tensor = self.backbone((pixels - mean) / std)
        return features

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of every weight and of how images are prepared: other features, other hash."""
        digest = hashlib.sha256(f"{self.size_px}".encode())
        for name, value in sorted(self.state_dict().items()):
            array = value.detach().cpu().contiguous()
            digest.update(f"{name}{array.dtype}{tuple(array.shape)}".encode())
            digest.update(array.reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @cached_property
    def dim(self) -> int:
        """Length of a feature vector."""
        with torch.no_grad():
            device = self.get_buffer("mean").device
            return int(
                self(torch.zeros((1, 3, self.size_px, self.size_px), device=device)).shape[1]
            )
