"""Releases in memory, by what they can do, and what each threat model sees of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from sudare import nets
from sudare.core.arrays import ByteArray, Float32Array, FloatArray, IntArray
from sudare.core.errors import AuditError, ReleaseError
from sudare.core.threats import ThreatModel
from sudare.nets.predict import predict
from sudare.releases.card import Card

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

__all__ = [
    "ClassifierRelease",
    "LabelsView",
    "LogitsView",
    "Release",
    "SamplesRelease",
    "SetView",
    "WeightsView",
]


@dataclass(frozen=True, eq=False)
class LabelsView:
    """Top-1 answers only."""

    _net: torch.nn.Module
    _device: str

    def labels(self, images: UInt8[ByteArray, "n c h w"]) -> Int[IntArray, " n"]:
        """The predicted class of each image."""
        logits = predict(self._net, images, device=self._device)
        top: IntArray = np.argmax(logits, axis=1)
        return top


@dataclass(frozen=True, eq=False)
class LogitsView:
    """Scores of every class; one net, or several recipients' nets."""

    _nets: tuple[torch.nn.Module, ...]
    _device: str

    def logits(self, images: UInt8[ByteArray, "n c h w"]) -> Float[FloatArray, "R n C"]:
        """Logits of each net for each image, ``float64 [R, n, C]``."""
        return np.stack([predict(net, images, device=self._device) for net in self._nets])


@dataclass(frozen=True, eq=False)
class WeightsView:
    """The whole net."""

    net: torch.nn.Module


@dataclass(frozen=True, eq=False)
class SetView:
    """The released items."""

    images: UInt8[ByteArray, "n c h w"]
    soft_labels: Float[Float32Array, "n C"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifierRelease:
    """A trained net.

    Attributes:
        card: Its card, with the net's name and size.
        state: Weights by name.
    """

    card: Card
    state: dict[str, torch.Tensor]

    def net(self, *, device: str = "cpu") -> torch.nn.Module:
        """The net with its weights, in evaluation mode.

        Raises:
            ReleaseError: Weights that do not fit the net, or are not finite.
        """
        if self.card.net is None:
            raise ReleaseError("a classifier's card must name its net", where="release.json")
        net = nets.build(
            self.card.net,
            image_shape=self.card.image_shape,
            n_classes=len(self.card.class_names),
            seed=0,
        )
        expected = {name: tuple(value.shape) for name, value in net.state_dict().items()}
        given = {name: tuple(value.shape) for name, value in self.state.items()}
        if expected != given:
            wrong = sorted(set(expected.items()) ^ set(given.items()))[0][0]
            raise ReleaseError(f"weights do not fit the net, first at {wrong!r}", where="weights")
        if not all(bool(value.isfinite().all()) for value in self.state.values()):
            raise ReleaseError("weights hold NaN or infinity", where="weights")
        net.load_state_dict(self.state)
        return net.to(device).eval()

    def expose(
        self, threat_model: ThreatModel, *, device: str = "cpu"
    ) -> LabelsView | LogitsView | WeightsView:
        """What an attacker of this threat model sees, and nothing else.

        Raises:
            AuditError: A threat model of another kind of release.
        """
        net = self.net(device=device)
        match threat_model:
            case ThreatModel.CLASSIFIER_LABELS:
                return LabelsView(net, device)
            case ThreatModel.CLASSIFIER_LOGITS:
                return LogitsView((net,), device)
            case ThreatModel.CLASSIFIER_WEIGHTS:
                return WeightsView(net)
            case _:
                raise AuditError(f"a classifier has no threat model {threat_model.value!r}")

    def tensors(self) -> dict[str, torch.Tensor]:
        """What goes into the safetensors file."""
        return {name: value.contiguous().cpu() for name, value in self.state.items()}

    def with_card(self, card: Card) -> ClassifierRelease:
        """The same release with another card."""
        return replace(self, card=card)


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplesRelease:
    """Images with soft labels.

    Attributes:
        card: Its card.
        images: ``uint8 [n, c, h, w]``.
        soft_labels: ``float32 [n, C]``, rows sum to one.
    """

    card: Card
    images: UInt8[ByteArray, "n c h w"]
    soft_labels: Float[Float32Array, "n C"]

    def check(self) -> None:
        """Refuse arrays that do not fit the card or each other.

        Raises:
            ReleaseError: Wrong shapes or dtypes, or soft labels that are no distribution.
        """
        shape = self.card.image_shape
        if self.images.dtype != np.uint8 or self.images.shape[1:] != shape:
            raise ReleaseError(
                f"images are {self.images.dtype} of shape {self.images.shape}, the card says "
                f"uint8 of {shape}",
                where="samples",
            )
        if self.soft_labels.shape != (len(self.images), len(self.card.class_names)):
            raise ReleaseError(f"soft labels have shape {self.soft_labels.shape}", where="samples")
        finite = bool(np.isfinite(self.soft_labels).all() and (self.soft_labels >= 0).all())
        if not finite or not np.allclose(self.soft_labels.sum(axis=1), 1, atol=1e-4):
            raise ReleaseError("soft labels are not distributions", where="samples")

    def expose(self, threat_model: ThreatModel) -> SetView:
        """What an attacker who holds the set sees; recipients' views are in ``recipients``.

        Raises:
            AuditError: A threat model of another kind of release.
        """
        if threat_model is not ThreatModel.SAMPLES_SET:
            raise AuditError(f"a sample set has no threat model {threat_model.value!r}")
        return SetView(self.images, self.soft_labels)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What goes into the safetensors file."""
        return {
            "images": torch.from_numpy(np.array(self.images)),
            "soft_labels": torch.from_numpy(np.array(self.soft_labels)),
        }

    def with_card(self, card: Card) -> SamplesRelease:
        """The same release with another card."""
        return replace(self, card=card)


Release: TypeAlias = ClassifierRelease | SamplesRelease
