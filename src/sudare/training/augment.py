"""Augmentation as batched tensor code on the device, one draw for each image."""

from __future__ import annotations

import torch

from sudare.nets.normalisation import normalise
from sudare.training.dsa import apply, draw, operations_of
from sudare.training.recipe import Recipe


def augment(
    images: torch.Tensor, operations: tuple[str, ...], generator: torch.Generator
) -> torch.Tensor:
    """Random flips, shifts (an eighth of the side) and square holes (a quarter of the side).

    Args:
        images: ``uint8 [n, c, h, w]`` or float.
        operations: Any of ``flip``, ``shift`` and ``cutout``, applied in this order.
        generator: Source of the draws, on the images' device.

    Returns:
        A new tensor of the same shape and dtype.
    """
    if "flip" in operations:
        coin = torch.rand(len(images), generator=generator, device=images.device) < 0.5
        images = torch.where(coin[:, None, None, None], images.flip(3), images)
    if "shift" in operations:
        images = _shift(images, generator)
    if "cutout" in operations:
        images = _cutout(images, generator)
    return images


def _shift(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n, channels, height, width = images.shape
    reach = max(1, round(min(height, width) / 8))
    # Zero padding: black borders, as in the distillation literature.
    padded = torch.nn.functional.pad(images, (reach, reach, reach, reach))
    offset = torch.randint(
        0, 2 * reach + 1, (2, n, 1, 1, 1), generator=generator, device=images.device
    )
    rows = offset[0] + torch.arange(height, device=images.device)[None, None, :, None]
    columns = offset[1] + torch.arange(width, device=images.device)[None, None, None, :]
    image = torch.arange(n, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[image, channel, rows, columns]


def _cutout(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    n, _, height, width = images.shape
    side = max(1, min(height, width) // 4)
    centre = torch.rand((2, n, 1, 1, 1), generator=generator, device=images.device)
    rows = torch.arange(height, device=images.device)[None, None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, None, :]
    hole = ((rows - centre[0] * height).abs() < side / 2) & (
        (columns - centre[1] * width).abs() < side / 2
    )
    return images.masked_fill(hole, 0)


def training_view(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """The normalised, augmented view of a batch of uint8 images."""
    if "dsa" not in recipe.augmentation:
        return normalise(augment(images, recipe.augmentation, generator))
    rest = tuple(name for name in recipe.augmentation if name not in ("dsa", "flip"))
    operations = operations_of(flips="flip" in recipe.augmentation)
    change = draw(operations, generator, n=len(images))
    return apply(normalise(augment(images, rest, generator)), change)
