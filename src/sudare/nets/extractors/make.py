"""Extractors by name: built in, of a hub or a folder, or code of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import nn

from sudare.core.errors import ConfigError, ReleaseError
from sudare.core.registry import load
from sudare.nets.extractors.base import Extractor
from sudare.nets.extractors.config import CODE, EXTRACTORS, HUB, ExtractorConfig
from sudare.nets.extractors.hub import from_hub


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
