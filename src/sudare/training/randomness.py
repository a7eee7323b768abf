"""Randomness for what leaves: from the operating system, so that no seed can repeat it."""

from __future__ import annotations

import os

import numpy as np
import torch
from opacus.optimizers import DPOptimizer

from sudare.core.arrays import FloatArray


def system_uniform(count: int) -> FloatArray:
    """Numbers strictly between 0 and 1 with 53 random bits each, from the operating system."""
    bits = np.frombuffer(os.urandom(8 * count), dtype="<u8") >> np.uint64(11)
    values: FloatArray = (bits.astype(np.float64) + 0.5) / 2.0**53
    return values


def system_rows(n: int, rate: float, device: torch.device) -> torch.Tensor:
    """Rows of one Poisson batch: each image independently with the given rate; may be empty."""
    drawn = np.flatnonzero(system_uniform(n) < rate)
    return torch.from_numpy(drawn).to(device)


class SystemNoise:
    """A hook that adds the operating system's noise to clipped, averaged gradients.

    A seeded generator of torch has 2**32 streams on a CPU, few enough to try them all. The
    normal numbers are the inverse of their distribution function at uniform ones.

    Args:
        std: Standard deviation of the noise on the sum of a batch's clipped gradients.
    """

    def __init__(self, std: float) -> None:
        self._std = std

    def __call__(self, optimiser: DPOptimizer) -> None:
        """Noise the gradients of an optimiser that averaged them; it must have added none."""
        from scipy.special import ndtri

        divisor = optimiser.expected_batch_size * optimiser.accumulated_iterations
        for parameter in optimiser.params:
            normal = torch.from_numpy(ndtri(system_uniform(parameter.numel())))
            noise = normal.to(device=parameter.device, dtype=parameter.dtype)
            parameter.grad += noise.view_as(parameter) * (self._std / divisor)
