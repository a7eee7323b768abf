"""A net's weights as tensors of their own, and their shapes without them."""

from __future__ import annotations

from collections.abc import Callable

import torch


def weight_shapes(make: Callable[[], torch.nn.Module]) -> dict[str, tuple[int, ...]]:
    """Shape of each weight of the net that a function makes; nothing is allocated.

    >>> weight_shapes(lambda: torch.nn.Linear(10**6, 10**6))["weight"]
    (1000000, 1000000)
    """
    with torch.device("meta"):
        net = make()
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def state_of(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights and buffers by name, as copies in main memory: what is saved or released."""
    return {
        name: value.detach().cpu().clone().contiguous() for name, value in net.state_dict().items()
    }
