"""What every extractor is: a frozen net with a fingerprint, and how one is made by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from sudare.core.errors import ConfigError, ReleaseError
from sudare.core.registry import load
from sudare.nets.extractors.config import CODE, EXTRACTORS, HUB, ExtractorConfig

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["Extractor", "make_extractor"]

# What ``nets.predict.normalise`` does to grey levels, undone.
_SCALE, _SHIFT = 63.75, 127.5


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
        pixels = images * _SCALE + _SHIFT
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


def make_extractor(
    config: ExtractorConfig, *, fingerprint: str = "", trusted: ExtractorConfig | None = None
) -> Extractor:
    """An extractor by name.

    Args:
        config: Which one.
        fingerprint: What it must be, or empty: a release says which features it is about.
        trusted: What the user named themselves. Code is imported, and models are downloaded,
            only if they did: a name that comes from a release does neither.

    Raises:
        ConfigError: It is not installed, not at hand, or no module that gives vectors.
        ReleaseError: Another net than the fingerprint's, or code that only a release names.
    """
    if config.name.startswith(CODE):
        if trusted != config and fingerprint:
            raise ReleaseError(
                f"the release asks to import {config.name.removeprefix(CODE)!r}",
                where="extractor",
                fix="If you trust it, name it yourself: recipients.extractor.name.",
            )
        made = _from_code(config)
    elif config.name.startswith(HUB):
        from sudare.nets.extractors.hub import from_hub

        # A name that only a release gives is looked for on this machine, never downloaded.
        named = trusted == config or not fingerprint
        made = from_hub(config.name.removeprefix(HUB), config.size_px, download=named)
    else:
        make = cast("Callable[[int], Extractor]", EXTRACTORS.load(config.name))
        made = make(config.size_px)
    if fingerprint and made.fingerprint != fingerprint:
        raise ReleaseError(
            f"{config.label} here is not the net the release was made with: fingerprint "
            f"{made.fingerprint[:12]}, the card says {fingerprint[:12]}",
            where="extractor",
            fix="Install the version of the weights that the card names.",
        )
    return made


def _from_code(config: ExtractorConfig) -> Extractor:
    target = config.name.removeprefix(CODE)
    try:
        made = load(target)
        backbone = made() if not isinstance(made, nn.Module) and callable(made) else made
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{target!r} cannot be imported: {error}", where="extractor") from error
    if isinstance(backbone, Extractor):
        return backbone
    if not isinstance(backbone, nn.Module):
        raise ConfigError(f"{target!r} is no torch module", where="extractor")
    # Images in 0 to 1, unless the user's module is an extractor with constants of its own.
    extractor = Extractor(
        backbone, size_px=config.size_px, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)
    )
    try:
        shape = extractor(torch.zeros(2, 3, config.size_px, config.size_px)).shape
    except (RuntimeError, ValueError, TypeError) as error:
        raise ConfigError(f"{target!r} cannot take images: {error}", where="extractor") from error
    if len(shape) != 2 or shape[0] != 2:
        raise ConfigError(
            f"{target!r} gives shape {tuple(shape)} for two images, not one vector each",
            where="extractor",
        )
    return extractor
