"""Features nobody trained: the floor under every pre-trained extractor."""

from __future__ import annotations

import torch
from torch import nn

from sudare.nets.extractors.base import Extractor
from sudare.nets.normalisation import MEAN, STD
from sudare.nets.random_features import RandomFeatures

_WIDTH = 16


class _Filters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filters = RandomFeatures((3, 32, 32), 2, width=_WIDTH)
        # The head is not a part of it, and its weights are drawn anew each time.
        del self.filters.classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.filters.embed(images)


def random_filters(size_px: int) -> Extractor:
    """512 half-rectified responses of random filters; the same for everybody."""
    return Extractor(_Filters(), size_px=size_px, mean=(MEAN, MEAN, MEAN), std=(STD, STD, STD))
