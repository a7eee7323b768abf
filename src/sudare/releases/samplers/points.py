"""A table of points, drawn from with a weight for each class: centroids of k-same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch

from sudare.core.errors import ReleaseError
from sudare.releases.samplers.base import Sampler, expect

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class PointsSampler(Sampler):
    """Draws row g for class y with probability proportional to ``weights[g, y]``.

    Args:
        points: ``float32 [g, d]``.
        weights: ``float32 [g, C]``, how many of the row's images have the class.
    """

    family: ClassVar[str] = "points"

    def __init__(
        self, points: Float[torch.Tensor, "g d"], weights: Float[torch.Tensor, "g C"]
    ) -> None:
        self.points, self.weights = points, weights

    @property
    def dim(self) -> int:
        """Length of a feature vector."""
        return int(self.points.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.weights.shape[1])

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> PointsSampler:
        """Points and weights; every class must have some."""
        state, _ = expect(tensors, {"points": ("g", "d"), "weights": ("g", "c")})
        weights = state["weights"]
        if bool((weights < 0).any()) or not bool((weights.sum(dim=0) > 0).all()):
            raise ReleaseError("the weights leave a class without points", where="sampler")
        return cls(state["points"], weights)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Points and weights."""
        return {"points": self.points, "weights": self.weights}

    def sample(
        self, labels: Int[torch.Tensor, " m"], generator: torch.Generator
    ) -> Float[torch.Tensor, "m d"]:
        """Points with replacement."""
        device = generator.device
        weights, points, labels = self.weights.to(device), self.points.to(device), labels.to(device)
        rows = torch.empty(len(labels), dtype=torch.int64, device=device)
        for label in labels.unique().tolist():
            mine = labels == label
            rows[mine] = torch.multinomial(
                weights[:, label], int(mine.sum()), replacement=True, generator=generator
            )
        return points[rows]
