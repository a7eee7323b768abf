"""What an inversion minimises: how far a net's answer is from a sure target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from jaxtyping import Float, Int

InversionLoss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_SHORT = 1e-4


def cross_entropy(
    logits: Float[torch.Tensor, "n C"], labels: Int[torch.Tensor, " n"]
) -> Float[torch.Tensor, " n"]:
    """Minus the logarithm of the target's probability; its gradient fades as that nears one."""
    return functional.cross_entropy(logits, labels, reduction="none")


def poincare(
    logits: Float[torch.Tensor, "n C"], labels: Int[torch.Tensor, " n"]
) -> Float[torch.Tensor, " n"]:
    """Hyperbolic distance in the unit ball between logits of 1-norm one and the target.

    The target is a vertex, 1e-4 short of the ball's surface, so that distances stay finite.

    Source:
        Struppek et al. 2022, "Plug & Play Attacks", eq. 4.
    """
    u = logits / logits.abs().sum(dim=1, keepdim=True).clamp_min(1e-12)
    v = functional.one_hot(labels, logits.shape[1]).to(logits) * (1 - _SHORT)
    apart = (u - v).square().sum(dim=1)
    within = (1 - u.square().sum(dim=1)) * (1 - v.square().sum(dim=1))
    return torch.arccosh(1 + 2 * apart / within.clamp_min(1e-12))


def max_logit(
    logits: Float[torch.Tensor, "n C"], labels: Int[torch.Tensor, " n"]
) -> Float[torch.Tensor, " n"]:
    """Minus the target's logit.

    Source:
        Nguyen et al. 2023, "Re-thinking model inversion attacks" (LOMMA), without its regulariser.
    """
    return -logits.gather(1, labels[:, None])[:, 0]


def max_margin(
    logits: Float[torch.Tensor, "n C"], labels: Int[torch.Tensor, " n"]
) -> Float[torch.Tensor, " n"]:
    """The largest other logit less the target's.

    Source:
        Yuan et al. 2023, "Pseudo label-guided model inversion attack" (PLG-MI).
    """
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.amax(dim=1) - logits.gather(1, labels[:, None])[:, 0]


LOSSES: Mapping[str, InversionLoss] = {
    "cross-entropy": cross_entropy,
    "poincare": poincare,
    "max-logit": max_logit,
    "max-margin": max_margin,
}
