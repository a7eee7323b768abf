"""The one normalisation: grey levels to about -2 to 2 by constants, never by private statistics."""

from __future__ import annotations

import torch

MEAN, STD = 127.5, 63.75
"""Grey levels of 0 to 255: what is subtracted, and what a unit of normalised images is."""
BLACK, WHITE = (0.0 - MEAN) / STD, (255.0 - MEAN) / STD
"""The ends of normalised images."""


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Pixels 0 to 255 to about -2 to 2, by constants: no statistic of private images."""
    return (images.float() - MEAN) / STD


def normalise_shares(images: torch.Tensor) -> torch.Tensor:
    """Pixels in 0 to 1 to normalised images; differentiable."""
    return images * (WHITE - BLACK) + BLACK


def grey_levels(images: torch.Tensor) -> torch.Tensor:
    """Normalised images to grey levels 0 to 255; differentiable, neither rounded nor cut."""
    return images * STD + MEAN


def to_pixels(images: torch.Tensor) -> torch.Tensor:
    """The way back from ``normalise``: ``uint8``, rounded and cut to 0 to 255."""
    return grey_levels(images).round().clamp(0, 255).to(torch.uint8)
