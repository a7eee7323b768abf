"""Search in the latent space: how near the decoder itself can come to an image's features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from sudare.core.arrays import Float32Array, FloatArray, IntArray
from sudare.releases.samplers import DecoderSampler

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, kw_only=True)
class LatentSearch:
    """Minimises the squared distance between decoded and given features, plus a prior on z.

    Attributes:
        steps: Steps of Adam for each image.
        lr: Its learning rate.
        prior: Weight of ||z||^2: what is far from the prior is no answer of the decoder.

    Source:
        Chen et al. 2020, "GAN-Leaks", white box; with Adam in place of L-BFGS.
    """

    steps: int = 100
    lr: float = 0.1
    prior: float = 0.01

    def distance(
        self,
        decoder: DecoderSampler,
        features: Float[Float32Array, "n d"],
        labels: Int[IntArray, " n"],
        *,
        device: str,
    ) -> Float[FloatArray, " n"]:
        """The least objective reached for each image, in units of the bounds' widths."""
        tensors = decoder.tensors()
        width = (tensors["high"] - tensors["low"]).clamp_min(1e-12).to(device)
        given = torch.from_numpy(np.ascontiguousarray(features)).to(device)
        classes = torch.from_numpy(np.ascontiguousarray(labels)).to(device)
        latent = torch.zeros((len(given), decoder.latent), device=device, requires_grad=True)
        optimiser = torch.optim.Adam([latent], lr=self.lr)
        best = torch.full((len(given),), torch.inf, device=device)
        for _ in range(self.steps):
            error = (((decoder.decode(latent, classes) - given) / width) ** 2).sum(dim=1)
            losses = error + self.prior * (latent**2).sum(dim=1)
            best = torch.minimum(best, losses.detach())
            optimiser.zero_grad(set_to_none=True)
            losses.sum().backward()
            optimiser.step()
        values: FloatArray = best.double().cpu().numpy()
        return values
