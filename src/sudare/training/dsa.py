"""Differentiable siamese augmentation: one random change, the same for two batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float

OPERATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")
_CROP, _CUTOUT, _SCALE, _ROTATE = 0.125, 0.5, 1.2, 15.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """One random change; applied to two batches it is the same change.

    Attributes:
        operation: One of ``OPERATIONS``.
        numbers: ``float32 [n, 3]`` in 0 to 1, what the change takes from; one row if all images
            share it.
    """

    operation: str
    numbers: Float[torch.Tensor, "n 3"]


def operations_of(*, flips: bool) -> tuple[str, ...]:
    """The published strategy; digits and X-rays have no mirror images."""
    return OPERATIONS if flips else tuple(name for name in OPERATIONS if name != "flip")


def draw(
    operations: tuple[str, ...],
    generator: torch.Generator,
    *,
    n: int = 1,
) -> Draw:
    """Draw one of the operations and its numbers.

    Args:
        operations: Which there are; one is taken.
        generator: Source, on the device of the images.
        n: 1 for a change that all images share, else the number of images.
    """
    device = generator.device
    index = int(torch.randint(len(operations), (1,), generator=generator, device=device))
    return draw_of(operations[index], generator, n=n)


def draw_of(operation: str, generator: torch.Generator, *, n: int = 1) -> Draw:
    """Draw the numbers of one operation."""
    numbers = torch.rand((n, 3), generator=generator, device=generator.device)
    return Draw(operation=operation, numbers=numbers)


def apply(images: Float[torch.Tensor, "n c h w"], change: Draw) -> Float[torch.Tensor, "n c h w"]:
    """Change normalised images; differentiable, and zero is what stands where nothing was.

    Source:
        Zhao and Bilen 2021, "Dataset condensation with differentiable siamese augmentation";
        ranges as in the authors' code.
    """
    if not len(images):
        return images
    changes = {
        "color": _color,
        "crop": _crop,
        "cutout": _cutout,
        "flip": _flip,
        "scale": _scale,
        "rotate": _rotate,
    }
    return changes[change.operation](images, change.numbers)


def _column(numbers: torch.Tensor, index: int) -> torch.Tensor:
    """One number an image (or one for all), ``[n or 1, 1, 1, 1]``."""
    return numbers[:, index, None, None, None]


def _color(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Brightness, then saturation (none for grey images), then contrast."""
    images = images + _column(numbers, 0) - 0.5
    grey = images.mean(dim=1, keepdim=True)
    images = (images - grey) * (2 * _column(numbers, 1)) + grey
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * (_column(numbers, 2) + 0.5) + mean


def _crop(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    n, channels, height, width = images.shape
    rows, columns = (
        (torch.floor(numbers[:, axis] * (2 * reach + 1)).long() - reach)[:, None, None]
        for axis, reach in ((0, int(height * _CROP + 0.5)), (1, int(width * _CROP + 0.5)))
    )
    device = images.device
    y = torch.arange(height, device=device)[None, :, None] + rows
    x = torch.arange(width, device=device)[None, None, :] + columns
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    flat = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).reshape(len(rows), 1, -1)
    moved = images.flatten(2).gather(2, flat.expand(n, channels, -1)).reshape(images.shape)
    return moved * inside[:, None]


def _cutout(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """One square of half the side, clamped at the borders."""
    height, width = images.shape[2:]
    masks = []
    for axis, side in ((0, height), (1, width)):
        hole = int(side * _CUTOUT + 0.5)
        centre = torch.floor(numbers[:, axis] * (side + (1 - hole % 2)))[:, None]
        at = torch.arange(side, device=images.device)[None]
        first = centre - hole // 2
        # The hole's cells are clamped into the image, as in the authors' code.
        last = (first + hole - 1).clamp(0, side - 1)
        masks.append((at >= first.clamp(0, side - 1)) & (at <= last))
    hole_mask = masks[0][:, None, :, None] & masks[1][:, None, None, :]
    return images * ~hole_mask


def _flip(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    return torch.where(_column(numbers, 0) < 0.5, images.flip(3), images)


def _scale(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    factors = numbers[:, :2] * (_SCALE - 1 / _SCALE) + 1 / _SCALE
    zero = torch.zeros_like(factors[:, 0])
    rows = (
        torch.stack([factors[:, 0], zero, zero], 1),
        torch.stack([zero, factors[:, 1], zero], 1),
    )
    return _warp(images, torch.stack(rows, 1))


def _rotate(images: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    angle = (numbers[:, 0] - 0.5) * 2 * _ROTATE * math.pi / 180
    zero = torch.zeros_like(angle)
    rows = (
        torch.stack([angle.cos(), -angle.sin(), zero], 1),
        torch.stack([angle.sin(), angle.cos(), zero], 1),
    )
    return _warp(images, torch.stack(rows, 1))


def _warp(images: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    matrices = matrices.expand(len(images), -1, -1)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)
