"""Images with soft labels: real, generated or distilled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from pydantic import Field, JsonValue

from sudare.core.arrays import ByteArray, Float32Array, IntArray
from sudare.core.errors import ReleaseError
from sudare.core.threats import ThreatModel
from sudare.releases.card import Card, Spec
from sudare.releases.kinds.base import Release, SetView, TrainingSet
from sudare.releases.multi_formation import decode

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

_REAL = (np.float32, np.float16)
_LARGEST = 100.0
"""Largest normalised value; pictures lie within 2, and half precision has too few digits above."""


class SamplesSpec(Spec):
    """What a set's card says of it; images of real numbers are normalised by constants."""

    mean: tuple[float, ...] = Field(
        default=(0.5,), description="Subtracted from each channel in 0 to 1; one for all, or each."
    )
    std: tuple[float, ...] = Field(default=(0.25,), description="What was divided by.")
    initial: str = Field(default="", description="Where learned images started from.")
    factor: int = Field(
        default=1, ge=1, le=8, description="Each image holds factor x factor smaller ones."
    )
    recipe: dict[str, JsonValue] = Field(
        default_factory=dict, description="How to train on it: fields of a recipe."
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplesRelease(Release):
    """Images with soft labels.

    Attributes:
        card: Its card.
        images: ``[n, c, h, w]``: ``uint8`` pixels, or ``float32`` or ``float16`` in the
            normalisation of the card.
        soft_labels: ``float32 [n, C]``, rows sum to one.
    """

    kind: ClassVar[str] = "samples"
    holds_images: ClassVar[bool] = True
    spec_class: ClassVar[type[Spec]] = SamplesSpec
    views: ClassVar[Mapping[str, str]] = {ThreatModel.SAMPLES_SET: "_set_view"}
    scores_as: ClassVar[ThreatModel] = ThreatModel.SAMPLES_RECIPIENT
    held_as: ClassVar[ThreatModel | None] = ThreatModel.SAMPLES_SET
    set_as: ClassVar[ThreatModel | None] = ThreatModel.SAMPLES_SET

    images: UInt8[ByteArray, "n c h w"] | Float[Float32Array, "n c h w"]
    soft_labels: Float[Float32Array, "n C"]

    @classmethod
    def from_tensors(cls, card: Card, tensors: Mapping[str, torch.Tensor]) -> SamplesRelease:
        """Images and soft labels that fit the card and each other.

        Raises:
            ReleaseError: Other tensors, or arrays that do not fit.
        """
        if set(tensors) != {"images", "soft_labels"}:
            raise ReleaseError(f"unexpected tensors {sorted(tensors)}", where="samples")
        types = (tensors["images"].dtype, tensors["soft_labels"].dtype)
        real = types[0] in (torch.uint8, torch.float32, torch.float16)
        if not real or types[1] != torch.float32:
            raise ReleaseError(
                f"images and soft labels are {types[0]} and {types[1]}, not uint8, float32 or "
                "float16 and float32",
                where="samples",
            )
        release = cls(
            card=card,
            images=tensors["images"].numpy(),
            soft_labels=tensors["soft_labels"].numpy(),
        )
        release.check()
        return release

    def check(self) -> None:
        """Refuse arrays that do not fit the card or each other.

        Raises:
            ReleaseError: Wrong shapes or dtypes, images that are not finite, or soft labels that
                are no distribution.
        """
        super().check()
        shape = self.card.image_shape
        if self.images.dtype not in (np.uint8, *_REAL) or self.images.shape[1:] != shape:
            raise ReleaseError(
                f"images are {self.images.dtype} of shape {self.images.shape}, the card says "
                f"pixels or real numbers of {shape}",
                where="samples",
            )
        if self.images.dtype != np.uint8:
            self._check_real()
        if self.soft_labels.shape != (len(self.images), len(self.card.class_names)):
            raise ReleaseError(f"soft labels have shape {self.soft_labels.shape}", where="samples")
        finite = bool(np.isfinite(self.soft_labels).all() and (self.soft_labels >= 0).all())
        if not finite or not np.allclose(self.soft_labels.sum(axis=1), 1, atol=1e-4):
            raise ReleaseError("soft labels are not distributions", where="samples")

    def levels(self) -> UInt8[ByteArray, "n c h w"] | Float[Float32Array, "n c h w"]:
        """The images in grey levels 0 to 255; real numbers are neither rounded nor cut.

        Where an image holds several, each is there on its own: ``factor^2`` for every stored one.
        """
        stored = self._stored()
        factor = self._spec().factor
        if factor == 1:
            return stored
        decoded: Float32Array = decode(torch.from_numpy(stored).float(), factor).numpy()
        return decoded

    def labels_of_levels(self) -> Float[Float32Array, "nff C"]:
        """Soft labels of what ``levels`` gives."""
        return np.repeat(self.soft_labels, self._spec().factor ** 2, axis=0)

    def _stored(self) -> UInt8[ByteArray, "n c h w"] | Float[Float32Array, "n c h w"]:
        if self.images.dtype == np.uint8:
            return self.images
        mean, std = self._constants()
        levels: Float32Array = (self.images.astype(np.float32) * std + mean) * np.float32(255)
        return levels

    def _spec(self) -> SamplesSpec:
        return self.card.spec if isinstance(self.card.spec, SamplesSpec) else SamplesSpec()

    def pictures(self) -> tuple[UInt8[ByteArray, "n c h w"], Int[IntArray, " n"]]:
        """The images as pixels, rounded and cut, and their likeliest classes."""
        labels = self.soft_labels.argmax(axis=1).astype(np.int64)
        return SetView(self._stored(), self.soft_labels).pixels(), labels

    def training_set(self) -> TrainingSet:
        """What a recipient trains on."""
        return TrainingSet(self.levels(), self.labels_of_levels(), self._spec().recipe)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What goes into the safetensors file."""
        return {
            "images": torch.from_numpy(np.array(self.images)),
            "soft_labels": torch.from_numpy(np.array(self.soft_labels)),
        }

    def _set_view(self, device: str) -> SetView:
        return SetView(self.levels(), self.labels_of_levels())

    def _constants(self) -> tuple[Float32Array, Float32Array]:
        """Mean and standard deviation, ``float32 [1, c or 1, 1, 1]``."""
        spec = self._spec()
        mean, std = (
            np.array(values, dtype=np.float32)[None, :, None, None]
            for values in (spec.mean, spec.std)
        )
        return mean, std

    def _check_real(self) -> None:
        mean, std = self._constants()
        channels = self.card.image_shape[0]
        if {mean.shape[1], std.shape[1]} - {1, channels} or not (std > 0).all():
            raise ReleaseError(
                f"the normalisation does not fit {channels} channels", where="samples"
            )
        if not np.isfinite(self.images).all() or np.abs(self.images).max(initial=0) > _LARGEST:
            raise ReleaseError(
                "images hold NaN, infinity or values far from any picture", where="samples"
            )
