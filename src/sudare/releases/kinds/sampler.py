"""A distribution over features: anybody may draw from it and train a head on what they drew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from sudare.core.arrays import Float32Array, IntArray
from sudare.core.errors import ReleaseError
from sudare.core.threats import Threat, ThreatModel
from sudare.nets.extractors.base import Extractor
from sudare.nets.extractors.config import ExtractorConfig
from sudare.nets.extractors.make import make_extractor
from sudare.releases.card import Card, Spec
from sudare.releases.kinds.base import FeatureSource, Release, View
from sudare.releases.samplers import SAMPLERS, Sampler

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_EXACT = ("low", "high", "classes")
"""Tensors that are never rounded to half precision."""


class SamplerSpec(Spec):
    """What a sampler's card says of it."""

    family: Literal["decoder", "gaussian", "points"] = Field(description="How it draws.")
    extractor: ExtractorConfig = Field(description="Whose features these are.")
    fingerprint: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the extractor's weights and size."
    )
    dim: int = Field(ge=1, le=16_384, description="Numbers in a feature vector.")
    bounds: Literal["none", "public", "dp", "private"] = Field(
        default="none", description="Where the range of each number is taken from."
    )
    precision: Literal["fp16", "fp32"] = Field(
        default="fp16", description="How numbers are stored; bounds always in full."
    )
    label_encoding: Literal["one-hot"] = Field(
        default="one-hot", description="Classes are numbered as in class_names."
    )


@dataclass(frozen=True, eq=False)
class BoundsView(View):
    """The range that each number of a sample is scaled to.

    Attributes:
        low: ``float32 [d]``; None where the release states no ranges.
        high: ``float32 [d]`` likewise.
    """

    low: Float[Float32Array, " d"] | None
    high: Float[Float32Array, " d"] | None


@dataclass(frozen=True, eq=False)
class DrawsView(View):
    """Drawn feature vectors, and nothing that drew them."""

    _sampler: Sampler

    def draw(self, n_per_class: int, seed: int) -> tuple[Float32Array, IntArray]:
        """Features ``float32 [n C, d]`` and labels ``int64 [n C]``."""
        return _drawn(self._sampler, n_per_class, seed)


@dataclass(frozen=True, eq=False)
class SamplerView(View):
    """The distribution itself: its tensors, its density, its gradient."""

    sampler: Sampler


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplerRelease(Release):
    """A distribution over features for each class.

    Attributes:
        card: Its card.
        sampler: The distribution.
    """

    kind: ClassVar[str] = "sampler"
    in_pixels: ClassVar[bool] = False
    spec_class: ClassVar[type[Spec]] = SamplerSpec
    views: ClassVar[Mapping[str, str]] = {
        "sampler/T0": "_bounds_view",
        "sampler/T1": "_draws_view",
        "sampler/T2": "_weights_view",
    }
    scores_as: ClassVar[ThreatModel] = ThreatModel("sampler/T3")
    threats: ClassVar[tuple[Threat, ...]] = (
        Threat(id="sampler/T0"),
        Threat(id="sampler/T1"),
        Threat(id="sampler/T2"),
        Threat(id="sampler/T3"),
    )

    sampler: Sampler

    @classmethod
    def from_tensors(cls, card: Card, tensors: Mapping[str, torch.Tensor]) -> SamplerRelease:
        """A distribution that fits the card.

        Raises:
            ReleaseError: Other tensors, or sizes that do not fit the card.
        """
        if not isinstance(card.spec, SamplerSpec):
            raise ReleaseError("a sampler's card must say what it draws", where="release.json")
        release = cls(card=card, sampler=SAMPLERS[card.spec.family].from_tensors(tensors))
        release.check()
        return release

    @property
    def spec(self) -> SamplerSpec:
        """Its part of the card."""
        if not isinstance(self.card.spec, SamplerSpec):
            raise ReleaseError("a sampler's card must say what it draws", where="release.json")
        return self.card.spec

    def check(self) -> None:
        """Refuse a distribution that does not fit the card."""
        super().check()
        spec, sampler = self.spec, self.sampler
        if sampler.family != spec.family or sampler.dim != spec.dim:
            raise ReleaseError(
                f"the sampler is a {sampler.family} of {sampler.dim} numbers, the card says a "
                f"{spec.family} of {spec.dim}",
                where="sampler",
            )
        if sampler.n_classes != len(self.card.class_names):
            raise ReleaseError(
                f"the sampler has {sampler.n_classes} classes, the card "
                f"{len(self.card.class_names)}",
                where="sampler",
            )

    def sample(
        self, n_per_class: int, seed: int
    ) -> tuple[Float[Float32Array, "m d"], Int[IntArray, " m"]]:
        """Draw features of every class.

        Args:
            n_per_class: How many of each class, at least 1.
            seed: Seed of the draw.

        Returns:
            Features ``float32 [n C, d]`` and labels ``int64 [n C]``.

        Raises:
            ReleaseError: Fewer than one.
        """
        if n_per_class < 1:
            raise ReleaseError("at least one sample of each class must be drawn", where="sampler")
        return _drawn(self.sampler, n_per_class, seed)

    def extractor(self, *, trusted: ExtractorConfig | None = None) -> Extractor:
        """The extractor of the card, refused if it is another net.

        Args:
            trusted: What the user named themselves; code is imported only then.
        """
        spec = self.spec
        return make_extractor(spec.extractor, fingerprint=spec.fingerprint, trusted=trusted)

    def training_set(self) -> FeatureSource:
        """What a recipient trains a head on."""
        return FeatureSource(
            dim=self.spec.dim,
            n_classes=self.sampler.n_classes,
            draw=self.sampler.sample,
            extractor=self.extractor,
        )

    def tensors(self) -> dict[str, torch.Tensor]:
        """What goes into the safetensors file."""
        half = self.spec.precision == "fp16"
        return {
            name: (value.half() if half and name not in _EXACT else value).contiguous().cpu()
            for name, value in self.sampler.tensors().items()
        }

    def as_stored(self) -> SamplerRelease:
        """The release as a reader will see it, rounded to its precision."""
        return type(self).from_tensors(self.card, self.tensors())

    def _bounds_view(self, device: str) -> BoundsView:
        tensors = self.sampler.tensors()
        if "low" not in tensors:
            return BoundsView(None, None)
        return BoundsView(tensors["low"].numpy(), tensors["high"].numpy())

    def _draws_view(self, device: str) -> DrawsView:
        return DrawsView(self.sampler)

    def _weights_view(self, device: str) -> SamplerView:
        return SamplerView(self.sampler)


def _drawn(sampler: Sampler, n_per_class: int, seed: int) -> tuple[Float32Array, IntArray]:
    labels = torch.arange(sampler.n_classes).repeat_interleave(n_per_class)
    features = sampler.sample(labels, torch.Generator().manual_seed(seed))
    return np.asarray(features.numpy(), dtype=np.float32), labels.numpy()
