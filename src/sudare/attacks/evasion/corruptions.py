"""Common corruptions at five severities: noise, blur, contrast, brightness, coarser pixels."""

from __future__ import annotations

import torch
from torch import nn

from sudare.core.errors import AuditError

CORRUPTIONS = ("noise", "blur", "contrast", "brightness", "pixelate")
_NOISE = (0.04, 0.08, 0.12, 0.18, 0.26)
_BLUR = (0.5, 0.8, 1.1, 1.5, 2.0)
_CONTRAST = (0.75, 0.6, 0.45, 0.3, 0.2)
_BRIGHTNESS = (0.05, 0.1, 0.15, 0.22, 0.3)
_PIXELATE = (0.9, 0.75, 0.6, 0.5, 0.4)


def corrupt(images: torch.Tensor, kind: str, severity: int, *, seed: int) -> torch.Tensor:
    """Corrupted images in 0 to 1.

    Args:
        images: ``float32 [n, c, h, w]`` in 0 to 1.
        kind: One of ``CORRUPTIONS``.
        severity: 1 to 5.
        seed: Seed of the noise.

    Source:
        Kinds and the five steps follow Hendrycks and Dietterich 2019; strengths are our own,
        for images of 28 to 128 pixels.

    Raises:
        AuditError: Another kind or severity.
    """
    if kind not in CORRUPTIONS or severity not in range(1, 6):
        raise AuditError(f"there is no corruption {kind!r} of severity {severity}")
    level = severity - 1
    match kind:
        case "noise":
            rng = torch.Generator(images.device).manual_seed(seed)
            noise = torch.randn(images.shape, generator=rng, device=images.device)
            changed = images + _NOISE[level] * noise
        case "blur":
            changed = _blurred(images, _BLUR[level])
        case "contrast":
            mean = images.mean(dim=(1, 2, 3), keepdim=True)
            changed = (images - mean) * _CONTRAST[level] + mean
        case "brightness":
            changed = images + _BRIGHTNESS[level]
        case _:
            height, width = images.shape[2:]
            small = [max(1, round(side * _PIXELATE[level])) for side in (height, width)]
            coarse = nn.functional.interpolate(images, size=small, mode="area")
            changed = nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return changed.clamp(0, 1)


def _blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    reach = min(max(1, round(3 * sigma)), images.shape[2] - 1, images.shape[3] - 1)
    if reach < 1:
        return images
    at = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    padded = nn.functional.pad(images, (reach, reach, reach, reach), mode="reflect")
    rows = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    columns = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    half = nn.functional.conv2d(padded, rows, groups=channels)
    blurred: torch.Tensor = nn.functional.conv2d(half, columns, groups=channels)
    return blurred
