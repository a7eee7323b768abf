"""The contract of a sampler: named tensors in, labelled features out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch

from sudare.core.errors import ReleaseError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

SelfT = TypeVar("SelfT", bound="Sampler")

MAX_DIM, MAX_ROWS = 16_384, 2_000_000
"""Length of a feature vector, and rows of a table, that a release may ask to be worked with."""


class Sampler(ABC):
    """A distribution over features for each class."""

    family: ClassVar[str]

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a feature vector."""

    @property
    @abstractmethod
    def n_classes(self) -> int:
        """Number of classes."""

    @classmethod
    @abstractmethod
    def from_tensors(cls: type[SelfT], tensors: Mapping[str, torch.Tensor]) -> SelfT:
        """Read a sampler.

        Raises:
            ReleaseError: Tensors that are missing, strange, do not fit each other or are not
                finite.
        """

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """What defines it, ``float32``; a release may store them in half precision."""

    @abstractmethod
    def sample(
        self, labels: Int[torch.Tensor, " m"], generator: torch.Generator
    ) -> Float[torch.Tensor, "m d"]:
        """A feature vector for each label, on the device of the generator."""

    def log_density(
        self, features: Float[torch.Tensor, "m d"], labels: Int[torch.Tensor, " m"]
    ) -> Float[torch.Tensor, " m"] | None:
        """Log density of features under their class, ``float64``; None where there is none."""
        return None


def expect(
    tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """The tensors a family needs, as ``float32``, and the sizes their shapes have in common.

    Args:
        tensors: What a release holds.
        shapes: Name to the names of its sides; equal names must be equal sizes.

    Raises:
        ReleaseError: Others than these, other types or shapes, or values that are not finite.
    """
    if set(tensors) != set(shapes):
        raise ReleaseError(
            f"the sampler holds {', '.join(sorted(tensors)) or 'nothing'}, not "
            f"{', '.join(sorted(shapes))}",
            where="sampler",
        )
    sizes: dict[str, int] = {}
    for name, sides in shapes.items():
        value = tensors[name]
        if value.dtype not in (torch.float32, torch.float16):
            raise ReleaseError(f"{name!r} is {value.dtype}", where="sampler")
        if value.ndim != len(sides) or 0 in value.shape or max(value.shape) > MAX_ROWS:
            raise ReleaseError(f"{name!r} has shape {tuple(value.shape)}", where="sampler")
        for side, size in zip(sides, value.shape, strict=True):
            if sizes.setdefault(side, size) != size:
                raise ReleaseError(
                    f"{name!r} has {size} where others have {sizes[side]}", where="sampler"
                )
        if not bool(value.isfinite().all()):
            raise ReleaseError(f"{name!r} holds NaN or infinity", where="sampler")
    if sizes.get("d", 1) > MAX_DIM:
        raise ReleaseError(f"features of {sizes['d']:,} numbers", where="sampler")
    return {name: tensors[name].float() for name in shapes}, sizes
