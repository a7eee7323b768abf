"""A trained net: answers, scores or weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from pydantic import Field

from sudare.core.errors import ReleaseError
from sudare.core.threats import ThreatModel
from sudare.nets.registry import NetConfig
from sudare.nets.registry import build as build_net
from sudare.nets.weights import weight_shapes
from sudare.releases.card import Card, Spec
from sudare.releases.kinds.base import LabelsView, LogitsView, Release, WeightsView

_WEIGHT_TYPES = {torch.float32, torch.float16, torch.int64}


class ClassifierSpec(Spec):
    """What a classifier's card says of it."""

    net: NetConfig = Field(description="The architecture.")


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifierRelease(Release):
    """A trained net.

    Attributes:
        card: Its card, with the net's name and size.
        state: Weights by name.
    """

    kind: ClassVar[str] = "classifier"
    spec_class: ClassVar[type[Spec]] = ClassifierSpec
    views: ClassVar[Mapping[str, str]] = {
        ThreatModel.CLASSIFIER_LABELS: "_labels_view",
        ThreatModel.CLASSIFIER_LOGITS: "_logits_view",
        ThreatModel.CLASSIFIER_WEIGHTS: "_weights_view",
    }
    scores_as: ClassVar[ThreatModel] = ThreatModel.CLASSIFIER_LOGITS
    held_as: ClassVar[ThreatModel | None] = ThreatModel.CLASSIFIER_WEIGHTS

    state: dict[str, torch.Tensor]

    @classmethod
    def from_tensors(cls, card: Card, tensors: Mapping[str, torch.Tensor]) -> ClassifierRelease:
        """Weights that fit the net of the card; half precision is widened.

        Raises:
            ReleaseError: Other tensors, or values that are not finite.
        """
        odd = sorted(name for name, value in tensors.items() if value.dtype not in _WEIGHT_TYPES)
        if odd:
            raise ReleaseError(f"{odd[0]!r} is {tensors[odd[0]].dtype}", where="weights")
        state = {
            name: value.float() if value.dtype is torch.float16 else value
            for name, value in tensors.items()
        }
        release = cls(card=card, state=state)
        release.net()
        return release

    def net(self, *, device: str = "cpu") -> torch.nn.Module:
        """The net with its weights, in evaluation mode.

        Raises:
            ReleaseError: Weights that do not fit the net, or are not finite.
        """
        if not isinstance(self.card.spec, ClassifierSpec):
            raise ReleaseError("a classifier's card must name its net", where="release.json")
        make = partial(
            build_net,
            self.card.spec.net,
            image_shape=self.card.image_shape,
            n_classes=len(self.card.class_names),
            seed=0,
        )
        # Shapes first: a card of a kilobyte can declare a net of gigabytes.
        expected = weight_shapes(make)
        given = {name: tuple(value.shape) for name, value in self.state.items()}
        if expected != given:
            wrong = sorted(set(expected.items()) ^ set(given.items()))[0][0]
            raise ReleaseError(f"weights do not fit the net, first at {wrong!r}", where="weights")
        if not all(bool(value.isfinite().all()) for value in self.state.values()):
            raise ReleaseError("weights hold NaN or infinity", where="weights")
        net = make()
        net.load_state_dict(self.state)
        return net.to(device).eval()

    def tensors(self) -> dict[str, torch.Tensor]:
        """What goes into the safetensors file."""
        return {name: value.contiguous().cpu() for name, value in self.state.items()}

    def _labels_view(self, device: str) -> LabelsView:
        return LabelsView(self.net(device=device), device)

    def _logits_view(self, device: str) -> LogitsView:
        return LogitsView((self.net(device=device),), device)

    def _weights_view(self, device: str) -> WeightsView:
        return WeightsView(self.net(device=device))
