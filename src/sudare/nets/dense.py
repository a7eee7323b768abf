"""Nets without convolutions."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import nn


def linear(
    shape: tuple[int, int, int], classes: int, *, width: int | None, depth: int | None
) -> nn.Module:
    """Multinomial logistic regression on pixels."""
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), classes))


def mlp(
    shape: tuple[int, int, int], classes: int, *, width: int | None, depth: int | None
) -> nn.Module:
    """Hidden layers of equal width with ReLU; 128 units and two layers by default."""
    units, layers = width or 128, depth or 2
    sizes = [prod(shape), *[units] * layers]
    hidden = [
        layer
        for before, after in pairwise(sizes)
        for layer in (nn.Linear(before, after), nn.ReLU())
    ]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(units, classes))
