"""The decoder of a conditional VAE: noise and a class in, a feature vector out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from sudare.core.errors import ReleaseError
from sudare.releases.samplers.base import Sampler, expect

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_SHAPES = {
    "hidden.weight": ("h", "zc"),
    "hidden.bias": ("h",),
    "output.weight": ("d", "h"),
    "output.bias": ("d",),
    "low": ("d",),
    "high": ("d",),
    "classes": ("c",),
}


class DecoderSampler(Sampler):
    """x = low + (high - low) sigmoid(W' relu(W [z, onehot(y)] + b) + b'), z ~ N(0, I).

    Args:
        state: ``hidden.weight [h, z + C]``, ``hidden.bias``, ``output.weight [d, h]``,
            ``output.bias``, the bounds ``low`` and ``high`` ``[d]``, and ``classes [C]``, ones.

    Source:
        Di Salvo et al. 2024, "Privacy-preserving datasets by capturing feature distributions with
        conditional VAEs".
    """

    family: ClassVar[str] = "decoder"

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        self._state = dict(state)

    @property
    def dim(self) -> int:
        """Length of a feature vector."""
        return int(self._state["output.bias"].shape[0])

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self._state["classes"].shape[0])

    @property
    def latent(self) -> int:
        """Length of z."""
        return int(self._state["hidden.weight"].shape[1]) - self.n_classes

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> DecoderSampler:
        """Weights and bounds that fit each other."""
        state, sizes = expect(tensors, _SHAPES)
        if sizes["zc"] <= sizes["c"]:
            raise ReleaseError("the decoder has no latent numbers", where="sampler")
        if not bool((state["high"] >= state["low"]).all()):
            raise ReleaseError("some lower bounds are above the upper ones", where="sampler")
        return cls(state)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights and bounds."""
        return dict(self._state)

    def decode(
        self, latent: Float[torch.Tensor, "m z"], labels: Int[torch.Tensor, " m"]
    ) -> Float[torch.Tensor, "m d"]:
        """Features of latent vectors; differentiable."""
        device = latent.device
        state = {name: value.to(device) for name, value in self._state.items()}
        onehot = nn.functional.one_hot(labels, self.n_classes).to(latent.dtype)
        joined = torch.cat([latent, onehot], dim=1)
        hidden = nn.functional.linear(joined, state["hidden.weight"], state["hidden.bias"]).relu()
        scaled = nn.functional.linear(hidden, state["output.weight"], state["output.bias"])
        features: torch.Tensor = state["low"] + (state["high"] - state["low"]) * scaled.sigmoid()
        return features

    def sample(
        self, labels: Int[torch.Tensor, " m"], generator: torch.Generator
    ) -> Float[torch.Tensor, "m d"]:
        """Decoded noise; the prior is the same for every class."""
        shape = (len(labels), self.latent)
        noise = torch.randn(shape, generator=generator, device=generator.device)
        with torch.no_grad():
            return self.decode(noise, labels.to(generator.device))
