"""What an audit may see of a training run, step by step, and add to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch


class StepObserver(Protocol):
    """Watches DP-SGD from inside: the strongest attacker the guarantee speaks of.

    Attributes:
        canaries: Records beside the images, sampled by the same sampler; their rows follow
            those of the images.
    """

    canaries: int

    def sampled(self, rows: torch.Tensor) -> None:
        """The rows of one batch, images and canaries."""

    def inject(self, parameters: Sequence[torch.nn.Parameter], canaries: torch.Tensor) -> None:
        """Add the gradients of the drawn canaries to ``grad_sample``, before clipping."""

    def released(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """The step was taken; ``grad`` holds the noised mean gradient that leaves."""


class Unobserved:
    """An observer that keeps nothing."""

    canaries = 0

    def sampled(self, rows: torch.Tensor) -> None:
        """Do nothing."""

    def inject(self, parameters: Sequence[torch.nn.Parameter], canaries: torch.Tensor) -> None:
        """Do nothing."""

    def released(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Do nothing."""
