"""A linear head on features nobody trained: what labels teach without any learned features."""

from __future__ import annotations

import torch
from torch import nn

_PUBLIC_SEED = 20_170_301
_GRID = 4


class RandomFeatures(nn.Module):
    """Random 6 x 6 filters, both half-rectified, mean-pooled on a 4 x 4 grid, then linear.

    The filters come from a constant seed, so they are public; only the head is learned.

    Args:
        shape: Channels, height and width.
        classes: Number of outputs.
        width: Number of filters.

    Source:
        Coates, Ng and Lee 2011, "An analysis of single-layer networks" (random patches).
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, *, width: int) -> None:
        super().__init__()
        channels = shape[0]
        generator = torch.Generator().manual_seed(_PUBLIC_SEED)
        filters = torch.randn((width, channels, 6, 6), generator=generator, device="cpu")
        # Filters that ignore brightness respond to shape.
        filters = filters - filters.mean(dim=(1, 2, 3), keepdim=True)
        filters = filters / filters.flatten(1).norm(dim=1)[:, None, None, None]
        self.register_buffer("filters", filters)
        self.norm = nn.GroupNorm(1, 2 * width, affine=False)
        self.classifier = nn.Linear(2 * width * _GRID * _GRID, classes)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Features ``[n, 32 * width]``."""
        filters: torch.Tensor = self.get_buffer("filters")
        response = nn.functional.conv2d(images, filters, padding=3)
        halves = torch.cat([response.relu(), (-response).relu()], dim=1)
        pooled = nn.functional.adaptive_avg_pool2d(halves, _GRID)
        flat: torch.Tensor = self.norm(pooled).flatten(1)
        return flat

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``[n, classes]`` of normalised images ``[n, c, h, w]``."""
        logits: torch.Tensor = self.classifier(self.embed(images))
        return logits


def random_features(
    shape: tuple[int, int, int], classes: int, *, width: int | None, depth: int | None
) -> nn.Module:
    """64 filters by default."""
    return RandomFeatures(shape, classes, width=width or 64)
