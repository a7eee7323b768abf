"""Federated averaging: the common weights after a round, and what a coalition would have got."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from sudare.core.errors import DataError
from sudare.core.seeds import integer_seed

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What a federation gave.

    Attributes:
        start: Weights ``[P]`` before the first round.
        updates: ``float32 [rounds, k, P]``, what each owner sent, already noised.
        weights: How they were averaged: ``[k]``, or ``[rounds, k]`` where a round went on without
            an owner, whose weight in it is zero.
    """

    start: Float[torch.Tensor, " P"]
    updates: Float[torch.Tensor, "rounds k P"]
    weights: Float[torch.Tensor, "*rounds k"] = field(default_factory=lambda: torch.zeros(0))

    def final(self, coalition: Sequence[int] | None = None) -> Float[torch.Tensor, " P"]:
        """Weights after the last round, had only some owners taken part.

        Their updates are those they really sent, so this is post-processing of what was noised; an
        owner's later updates do answer to models the others had a part in.
        """
        chosen = list(range(self.updates.shape[1]) if coalition is None else coalition)
        weights = self.weights.expand(self.updates.shape[:2])[:, chosen]
        # A round in which none of them took part moves nothing.
        shares = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)
        return self.start + torch.einsum("rkp,rk->p", self.updates[:, chosen], shares)


def round_seed(seed: int | None, number: int, index: int) -> int | None:
    """The seed of one owner's round; None, for the system's randomness, stays None."""
    return None if seed is None else integer_seed(seed, "round", number, index)


def averaged(here: torch.Tensor, sent: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The common weights after a round.

    Args:
        here: Weights ``[P]`` before it.
        sent: Updates ``[k, P]``.
        shares: ``[k]``, adding up to one.

    Raises:
        DataError: They are not finite any more.
    """
    after: torch.Tensor = here + (shares.to(here)[:, None] * sent).sum(dim=0)
    if not math.isfinite(float(after.sum())):
        raise DataError("the federation diverged", where="federation", fix="Lower recipe.lr.")
    return after


def model_of(net: nn.Module, weights: torch.Tensor) -> nn.Module:
    """Put a vector of weights into a net, in place."""
    at = 0
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(weights[at : at + parameter.numel()].reshape(parameter.shape))
            at += parameter.numel()
    return net
