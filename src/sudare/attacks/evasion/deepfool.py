"""DeepFool: the nearest boundary of a net that is taken for linear, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from sudare.attacks.evasion.base import EvasionAttack, fooled


@dataclass(frozen=True, kw_only=True)
class DeepFool(EvasionAttack):
    """Steps to the nearest linearised boundary until the answer changes.

    Attributes:
        steps: At most so many.
        overshoot: How far beyond the boundary, as a share of the change.
        candidates: Likeliest classes whose boundaries are tried.

    Source:
        Moosavi-Dezfooli, Fawzi and Frossard 2016, "DeepFool".
    """

    name: ClassVar[str] = "deepfool"

    steps: int = 50
    overshoot: float = 0.02
    candidates: int = 10

    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        change = torch.zeros_like(images)
        rows = torch.arange(len(images), device=images.device)
        with torch.no_grad():
            order = net(images).argsort(dim=1, descending=True)[:, : self.candidates]
        for _ in range(self.steps):
            moved = images[rows] + (1 + self.overshoot) * change[rows]
            rows = rows[~fooled(net, moved.clamp(0, 1), labels[rows])]
            if not len(rows):
                break
            change[rows] += self._step(
                net, images[rows] + (1 + self.overshoot) * change[rows], labels[rows], order[rows]
            )
        return images + (1 + self.overshoot) * change

    def _step(
        self, net: nn.Module, at: torch.Tensor, labels: torch.Tensor, order: torch.Tensor
    ) -> torch.Tensor:
        free = at.clamp(0, 1).requires_grad_()
        logits = net(free)
        own = logits.gather(1, labels[:, None])[:, 0]
        gaps, slopes = [], []
        for column in range(order.shape[1]):
            other = logits.gather(1, order[:, column : column + 1])[:, 0]
            last = column == order.shape[1] - 1
            slope = self.gradient((other - own).sum(), free, again=not last)
            gaps.append((other - own).detach())
            slopes.append(slope)
        gap, slope = torch.stack(gaps, 1), torch.stack(slopes, 1)
        flat = slope.flatten(2)
        dual = flat.abs().sum(dim=2) if self.norm == "linf" else flat.norm(dim=2)
        distance = gap.abs() / dual.clamp_min(1e-12)
        # The own class has no boundary with itself.
        distance = distance.masked_fill(order == labels[:, None], torch.inf)
        nearest = distance.argmin(dim=1)
        picked = torch.arange(len(at), device=at.device)
        chosen, far = slope[picked, nearest], distance[picked, nearest][:, None, None, None]
        if self.norm == "linf":
            return (far + 1e-4) * chosen.sign()
        return (far + 1e-4) * chosen / dual[picked, nearest].clamp_min(1e-12)[:, None, None, None]
