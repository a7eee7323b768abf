"""FGSM: one step along the sign of the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from sudare.attacks.evasion.base import EvasionAttack, lengths


@dataclass(frozen=True, kw_only=True)
class Fgsm(EvasionAttack):
    """One step of the whole budget.

    Source:
        Goodfellow, Shlens and Szegedy 2015, "Explaining and harnessing adversarial examples".
    """

    name: ClassVar[str] = "fgsm"
    follows_gradients: ClassVar[bool] = False

    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        free = images.clone().requires_grad_()
        wanted = labels if targets is None else targets
        loss = nn.functional.cross_entropy(net(free), wanted, reduction="sum")
        slope = self.gradient(loss, free) * (1 if targets is None else -1)
        if self.norm == "linf":
            return images + self.epsilon * slope.sign()
        return (
            images
            + self.epsilon * slope / lengths(slope, "l2").clamp_min(1e-12)[:, None, None, None]
        )
