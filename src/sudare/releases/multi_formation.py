"""Several small images stored in one: how a reader gets them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from jaxtyping import Float


def decode(images: Float[torch.Tensor, "n c h w"], factor: int) -> Float[torch.Tensor, "nff c h w"]:
    """Cut each image into factor x factor squares and enlarge each to the whole size.

    A side that cannot be divided is padded with zeros, mid-grey where images are normalised.
    Differentiable; the squares of an image stay together, row by row.

    Source:
        Kim et al. 2022, "Dataset condensation via efficient synthetic-data parameterization",
        multi-formation.
    """
    if factor == 1:
        return images
    n, channels, height, width = images.shape
    small = (-(-height // factor), -(-width // factor))
    margins = (0, factor * small[1] - width, 0, factor * small[0] - height)
    padded = nn.functional.pad(images, margins)
    squares = padded.reshape(n, channels, factor, small[0], factor, small[1])
    squares = squares.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, *small)
    return nn.functional.interpolate(squares, size=(height, width), mode="bilinear")
