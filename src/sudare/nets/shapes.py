"""Shapes of a net's weights, without the weights: what a card declares may be of any size."""

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
