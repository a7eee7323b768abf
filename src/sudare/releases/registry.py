"""Kinds of release by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sudare.core.registry import Registry

if TYPE_CHECKING:
    from sudare.releases.kinds.base import Release

KINDS = Registry(
    "kind of release",
    {
        "classifier": "sudare.releases.kinds.classifier:ClassifierRelease",
        "sampler": "sudare.releases.kinds.sampler:SamplerRelease",
        "federation": "sudare.releases.kinds.federation:FederationRelease",
        "generator": "sudare.releases.kinds.generator:GeneratorRelease",
        "samples": "sudare.releases.kinds.samples:SamplesRelease",
    },
    group="sudare.kinds",
)


def kind_class(name: str) -> type[Release]:
    """The class of a kind. Imports torch.

    Raises:
        ConfigError: No such kind.
    """
    return cast("type[Release]", KINDS.load(name))
