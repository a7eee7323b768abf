"""A Gaussian for each class: diagonal, or of low rank plus diagonal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch

from sudare.core.errors import ReleaseError
from sudare.releases.samplers.base import Sampler, expect

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class GaussianSampler(Sampler):
    """x = mean_y + F_y u + scale_y e with u, e standard normal; covariance F F' + diag(scale^2).

    Args:
        mean: ``float32 [C, d]``.
        scale: ``float32 [C, d]``, positive.
        factor: ``float32 [C, d, r]``, or None for a diagonal covariance.
    """

    family: ClassVar[str] = "gaussian"

    def __init__(
        self,
        mean: Float[torch.Tensor, "C d"],
        scale: Float[torch.Tensor, "C d"],
        factor: Float[torch.Tensor, "C d r"] | None = None,
    ) -> None:
        self.mean, self.scale, self.factor = mean, scale, factor

    @property
    def dim(self) -> int:
        """Length of a feature vector."""
        return int(self.mean.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.mean.shape[0])

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> GaussianSampler:
        """Means and scales, and factors where there are any."""
        shapes: dict[str, tuple[str, ...]] = {"mean": ("c", "d"), "scale": ("c", "d")}
        if "factor" in tensors:
            shapes["factor"] = ("c", "d", "r")
        state, _ = expect(tensors, shapes)
        if not bool((state["scale"] > 0).all()):
            raise ReleaseError("some scales are not positive", where="sampler")
        return cls(state["mean"], state["scale"], state.get("factor"))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Means, scales and factors."""
        factor = {} if self.factor is None else {"factor": self.factor}
        return {"mean": self.mean, "scale": self.scale, **factor}

    def sample(
        self, labels: Int[torch.Tensor, " m"], generator: torch.Generator
    ) -> Float[torch.Tensor, "m d"]:
        """Draws of each label's Gaussian."""
        device = generator.device
        labels = labels.to(device)
        noise = torch.randn((len(labels), self.dim), generator=generator, device=device)
        drawn = self.mean.to(device)[labels] + noise * self.scale.to(device)[labels]
        if self.factor is not None:
            rank = int(self.factor.shape[2])
            inner = torch.randn((len(labels), rank), generator=generator, device=device)
            factor = self.factor.to(device)
            # Class by class: one factor for each draw would be a copy of d x r numbers.
            for label in labels.unique().tolist():
                rows = labels == label
                drawn[rows] += inner[rows] @ factor[label].T
        return drawn

    def log_density(
        self, features: Float[torch.Tensor, "m d"], labels: Int[torch.Tensor, " m"]
    ) -> Float[torch.Tensor, " m"]:
        """Log density under each label's Gaussian, ``float64``.

        By the Woodbury identity and the matrix determinant lemma, in O(d r^2).
        """
        found = torch.empty(len(features), dtype=torch.float64)
        for label in labels.unique().tolist():
            rows = labels == label
            found[rows.cpu()] = self._of_class(features[rows].double().cpu(), int(label))
        return found

    def _of_class(self, features: torch.Tensor, label: int) -> torch.Tensor:
        scale = self.scale[label].double().cpu()
        centred = (features - self.mean[label].double().cpu()) / scale
        squares, logdet = (centred**2).sum(dim=1), 2 * scale.log().sum()
        if self.factor is not None:
            factor = self.factor[label].double().cpu() / scale[:, None]
            capacity = torch.eye(factor.shape[1], dtype=torch.float64) + factor.T @ factor
            root = torch.linalg.cholesky(capacity)
            inner = torch.linalg.solve_triangular(root, factor.T @ centred.T, upper=False)
            squares = squares - (inner**2).sum(dim=0)
            logdet = logdet + 2 * root.diagonal().log().sum()
        value: torch.Tensor = -0.5 * (squares + logdet + self.dim * math.log(2 * math.pi))
        return value
