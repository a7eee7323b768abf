"""A generator of images: whoever holds it draws as many as they like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from pydantic import Field

from sudare.core.arrays import ByteArray, IntArray
from sudare.core.errors import ReleaseError
from sudare.core.threats import Threat, ThreatModel
from sudare.nets.generator import Generator
from sudare.nets.normalisation import to_pixels
from sudare.nets.weights import weight_shapes
from sudare.releases.card import Card, Spec
from sudare.releases.kinds.base import Release, TrainingSet, WeightsView

if TYPE_CHECKING:
    from jaxtyping import Int, UInt8

_BATCH, _SHOWN = 256, 10
_MOST_SIDE, _MOST_BYTES, _AT_ONCE = 512, 4 << 30, 1 << 26
"""Pixels of a side, bytes of all images a recipient trains on, numbers of a stage at once."""
_WEIGHTS = ThreatModel("generator/weights")


class GeneratorSpec(Spec):
    """What a generator's card says of it."""

    latent: int = Field(ge=1, le=4096, description="Length of the latent.")
    width: int = Field(ge=1, le=1024, description="Channels of its last stage.")
    sigma: float = Field(gt=0, le=10, description="Standard deviation of the latent.")
    images: int = Field(ge=1, le=200_000, description="Images that a recipient trains on.")


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratorRelease(Release):
    """A class-conditional generator.

    Attributes:
        card: Its card.
        state: Weights by name.
    """

    kind: ClassVar[str] = "generator"
    holds_images: ClassVar[bool] = True
    spec_class: ClassVar[type[Spec]] = GeneratorSpec
    views: ClassVar[Mapping[str, str]] = {_WEIGHTS: "_weights_view"}
    scores_as: ClassVar[ThreatModel] = ThreatModel.SAMPLES_RECIPIENT
    held_as: ClassVar[ThreatModel | None] = _WEIGHTS
    threats: ClassVar[tuple[Threat, ...]] = (Threat(id="generator/weights"),)

    state: dict[str, torch.Tensor]

    @classmethod
    def from_tensors(cls, card: Card, tensors: Mapping[str, torch.Tensor]) -> GeneratorRelease:
        """Weights that fit the generator of the card.

        Raises:
            ReleaseError: Other tensors, values that are not finite, or images beyond all measure.
        """
        release = cls(card=card, state=dict(tensors))
        side, drawn = max(card.image_shape[1:]), release._spec().images * prod(card.image_shape)
        if side > _MOST_SIDE or drawn > _MOST_BYTES:
            # A card of a kilobyte could ask its reader for terabytes of pictures.
            raise ReleaseError(
                f"a generator of images of {side:,} pixels a side, {drawn / 2**30:,.1f} GiB to "
                f"train on; at most {_MOST_SIDE} and {_MOST_BYTES >> 30} GiB are read",
                where="release.json",
            )
        release.generator()
        return release

    def generator(self, *, device: str = "cpu") -> Generator:
        """The generator with its weights, in evaluation mode.

        Raises:
            ReleaseError: Weights that do not fit, or are not finite.
        """
        spec = self._spec()
        make = partial(
            Generator,
            self.card.image_shape,
            len(self.card.class_names),
            latent=spec.latent,
            width=spec.width,
        )
        # Shapes first: a card of a kilobyte can declare a generator of gigabytes.
        given = {name: tuple(value.shape) for name, value in self.state.items()}
        odd = any(value.dtype != torch.float32 for value in self.state.values())
        if odd or weight_shapes(make) != given:
            raise ReleaseError("weights do not fit the generator", where="weights")
        if not all(bool(value.isfinite().all()) for value in self.state.values()):
            raise ReleaseError("weights hold NaN or infinity", where="weights")
        net = make()
        net.load_state_dict(self.state)
        return net.to(device).eval()

    def draw(self, labels: Int[IntArray, " n"], *, seed: int) -> UInt8[ByteArray, "n c h w"]:
        """An image for each label, as pixels.

        Args:
            labels: Classes.
            seed: Seed of the latents.
        """
        net, spec = self.generator(), self._spec()
        rng = torch.Generator().manual_seed(seed)
        # Latents are drawn by the batch whatever is computed at once: the seed gives the images.
        step = max(1, min(_BATCH, _AT_ONCE // (spec.width * prod(self.card.image_shape[1:]))))
        parts = []
        with torch.no_grad():
            for some in torch.from_numpy(np.array(labels)).split(_BATCH):
                latent = spec.sigma * torch.randn(len(some), spec.latent, generator=rng)
                for few, theirs in zip(latent.split(step), some.split(step), strict=True):
                    parts.append(to_pixels(net(few, theirs)).numpy())
        drawn: ByteArray = np.concatenate(parts)
        return drawn

    def training_set(self) -> TrainingSet:
        """What a recipient trains on: images of each class alike, drawn with a fixed seed."""
        classes = len(self.card.class_names)
        labels = np.arange(self._spec().images) % classes
        return TrainingSet(self.draw(labels, seed=0), np.eye(classes, dtype=np.float32)[labels])

    def pictures(self) -> tuple[UInt8[ByteArray, "n c h w"], Int[IntArray, " n"]]:
        """A few drawn images of each class."""
        labels = np.repeat(np.arange(len(self.card.class_names)), _SHOWN).astype(np.int64)
        return self.draw(labels, seed=1), labels

    def tensors(self) -> dict[str, torch.Tensor]:
        """What goes into the safetensors file."""
        return {name: value.contiguous().cpu() for name, value in self.state.items()}

    def _spec(self) -> GeneratorSpec:
        if not isinstance(self.card.spec, GeneratorSpec):
            raise ReleaseError("a generator's card must say its sizes", where="release.json")
        return self.card.spec

    def _weights_view(self, device: str) -> WeightsView:
        return WeightsView(self.generator(device=device))
