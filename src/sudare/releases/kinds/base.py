"""What every kind of release can do, and what attackers see of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, final

import numpy as np
import torch

from sudare.core.arrays import ByteArray, Float32Array, FloatArray, IntArray
from sudare.core.errors import AuditError, ReleaseError
from sudare.core.hashing import Json
from sudare.core.threats import Threat, ThreatModel
from sudare.nets.extractors.base import Extractor
from sudare.nets.extractors.config import ExtractorConfig
from sudare.nets.predict import predict
from sudare.releases.card import Card, Spec

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

SelfT = TypeVar("SelfT", bound="Release")


class View:
    """What an attacker of one threat model sees, and nothing else."""


@dataclass(frozen=True, eq=False)
class LabelsView(View):
    """Top-1 answers only."""

    _net: torch.nn.Module
    _device: str

    def labels(self, images: UInt8[ByteArray, "n c h w"]) -> Int[IntArray, " n"]:
        """The predicted class of each image."""
        logits = predict(self._net, images, device=self._device)
        top: IntArray = np.argmax(logits, axis=1)
        return top


@dataclass(frozen=True, eq=False)
class LogitsView(View):
    """Scores of every class; one net, or several recipients' nets."""

    _nets: tuple[torch.nn.Module, ...]
    _device: str

    def logits(self, images: UInt8[ByteArray, "n c h w"]) -> Float[FloatArray, "R n C"]:
        """Logits of each net for each image, ``float64 [R, n, C]``."""
        return np.stack([predict(net, images, device=self._device) for net in self._nets])


@dataclass(frozen=True, eq=False)
class CachedLogits(LogitsView):
    """The same scores, but its nets see an array once however many signals ask about it.

    It holds on to every array and answer, so it lives as long as one measurement. An array is
    known by where it lies: whoever changes one in between gets the old answer.
    """

    _known: dict[tuple[object, ...], tuple[ByteArray, FloatArray]] = field(default_factory=dict)

    def logits(self, images: UInt8[ByteArray, "n c h w"]) -> Float[FloatArray, "R n C"]:
        """Logits of each net for each image, ``float64 [R, n, C]``; not to be written to."""
        place = (images.__array_interface__["data"], images.shape, images.strides)
        if place not in self._known:
            answers = super().logits(images)
            answers.flags.writeable = False
            self._known[place] = images, answers
        return self._known[place][1]


@dataclass(frozen=True, eq=False)
class WeightsView(View):
    """The whole net."""

    net: torch.nn.Module


@dataclass(frozen=True, eq=False)
class SetView(View):
    """The released items.

    Attributes:
        images: ``[n, c, h, w]`` in grey levels 0 to 255; ``float32`` where the release holds
            real numbers, which may lie a little outside.
        soft_labels: ``float32 [n, C]``.
    """

    images: UInt8[ByteArray, "n c h w"] | Float[Float32Array, "n c h w"]
    soft_labels: Float[Float32Array, "n C"]

    def pixels(self) -> UInt8[ByteArray, "n c h w"]:
        """The images as pixels, rounded and cut."""
        return np.clip(np.rint(self.images), 0, 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a recipient trains a net on.

    Attributes:
        images: ``[n, c, h, w]`` in grey levels 0 to 255, ``uint8`` or ``float32``.
        soft_labels: ``float32 [n, C]``.
        recipe: How the card says to train on it, as fields of a recipe; the rest is the
            recipient's choice.
    """

    images: UInt8[ByteArray, "n c h w"] | Float[Float32Array, "n c h w"]
    soft_labels: Float[Float32Array, "n C"]
    recipe: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureSource:
    """What a recipient trains a head on: features that are drawn as often as they like.

    Attributes:
        dim: Length of a feature vector.
        n_classes: Number of classes.
        draw: Labels ``int64 [m]`` and a generator to features ``float32 [m, d]`` on the
            generator's device.
        extractor: Makes the extractor these are features of; refused if it is another net.
    """

    dim: int
    n_classes: int
    draw: Callable[[torch.Tensor, torch.Generator], torch.Tensor]
    extractor: MakeExtractor


class MakeExtractor(Protocol):
    """Makes the extractor a release names."""

    def __call__(self, *, trusted: ExtractorConfig | None = None) -> Extractor:
        """Code is imported only if the user named it themselves."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Release(ABC):
    """What leaves. A kind declares its name, its part of the card and its views.

    Attributes:
        card: Its card.
    """

    kind: ClassVar[str]
    spec_class: ClassVar[type[Spec]]
    views: ClassVar[Mapping[str, str]]
    """Threat model to the method that makes its view, called with the device."""
    scores_as: ClassVar[ThreatModel]
    """Under which threat model scores of every class are seen."""
    held_as: ClassVar[ThreatModel | None] = None
    """Under which threat model all of it is seen, what a guarantee is about; None: scores."""
    set_as: ClassVar[ThreatModel | None] = None
    """Under which threat model released items are seen; None where there are none."""
    holds_images: ClassVar[bool] = False
    """Whether images leave with it, so that private ones may be among them."""
    in_pixels: ClassVar[bool] = True
    """Whether what it holds is about pixels; False where it is about features."""
    threats: ClassVar[tuple[Threat, ...]] = ()
    """Threat models that no other kind declares."""

    card: Card

    @classmethod
    @abstractmethod
    def from_tensors(cls: type[SelfT], card: Card, tensors: Mapping[str, torch.Tensor]) -> SelfT:
        """Read a release, refusing tensors that do not fit the card.

        Raises:
            ReleaseError: What does not fit.
        """

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """What goes into the safetensors file."""

    def check(self) -> None:
        """Refuse what no reader would take, before it is written.

        Raises:
            ReleaseError: A card of another kind.
        """
        if not isinstance(self.card.spec, self.spec_class) or self.card.kind != self.kind:
            raise ReleaseError(f"the card is not that of a {self.kind}", where="release.json")

    def training_set(self) -> TrainingSet | FeatureSource | None:
        """What a recipient trains on; None where the release answers by itself."""
        return None

    def pictures(self) -> tuple[UInt8[ByteArray, "n c h w"], Int[IntArray, " n"]] | None:
        """Released images as pixels and their classes; None where there are none."""
        return None

    def net(self, *, device: str = "cpu") -> torch.nn.Module:
        """The net that answers, for a release that needs no training.

        Raises:
            AuditError: The release holds no net.
        """
        raise AuditError(f"a {self.kind} release holds no net", where=self.card.title)

    @final
    def expose(self, threat_model: ThreatModel, *, device: str = "cpu") -> View:
        """What an attacker of this threat model sees, and nothing else.

        Raises:
            AuditError: A threat model of another kind of release.
        """
        method = self.views.get(threat_model)
        if method is None:
            raise AuditError(
                f"a {self.kind} release shows no attacker {threat_model.value!r}",
                fix=f"It knows: {', '.join(self.views)}.",
            )
        view: View = getattr(self, method)(device)
        return view

    @final
    def with_card(self: SelfT, card: Card) -> SelfT:
        """The same release with another card."""
        return replace(self, card=card)
