"""Carlini and Wagner: the shortest change, by gradient descent in an unbounded space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from sudare.attacks.evasion.base import EvasionAttack, Norm, best_other


@dataclass(frozen=True, kw_only=True)
class CarliniWagner(EvasionAttack):
    """Minimises length squared + c max(margin, -confidence), with c found by bisection.

    Attributes:
        steps: Steps of Adam for each c.
        searches: How often c is halved or raised.
        lr: Learning rate.
        confidence: Margin by which the answer must be wrong.

    Source:
        Carlini and Wagner 2017, "Towards evaluating the robustness of neural networks" (L2).
    """

    name: ClassVar[str] = "carlini_wagner"

    epsilon: float = 1.0
    norm: Norm = "l2"
    steps: int = 200
    searches: int = 5
    lr: float = 0.02
    confidence: float = 0.0
    first_c: float = 1.0

    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        n, device = len(images), images.device
        best, shortest = images.clone(), torch.full((n,), torch.inf, device=device)
        low, high = torch.zeros(n, device=device), torch.full((n,), torch.inf, device=device)
        weight = torch.full((n,), self.first_c, device=device)
        start = torch.atanh((2 * images - 1) * 0.999999)
        for _ in range(self.searches):
            free = start.clone().requires_grad_()
            optimiser = torch.optim.Adam([free], lr=self.lr)
            won = torch.zeros(n, dtype=torch.bool, device=device)
            for _ in range(self.steps):
                moved = (free.tanh() + 1) / 2
                logits = net(moved)
                if targets is None:
                    margin = logits.gather(1, labels[:, None])[:, 0] - best_other(logits, labels)
                else:
                    margin = best_other(logits, targets) - logits.gather(1, targets[:, None])[:, 0]
                size = ((moved - images) ** 2).flatten(1).sum(dim=1)
                loss = (size + weight * (margin + self.confidence).clamp_min(0)).sum()
                hit = (
                    (margin.detach() < -self.confidence) if self.confidence else margin.detach() < 0
                )
                better = hit & (size.detach() < shortest)
                shortest = torch.where(better, size.detach(), shortest)
                best[better] = moved.detach()[better]
                won |= hit
                # Of the images alone: nobody needs the net's own gradients.
                free.grad = self.gradient(loss, free)
                optimiser.step()
            high = torch.where(won, torch.minimum(high, weight), high)
            low = torch.where(won, low, torch.maximum(low, weight))
            weight = torch.where(high.isinf(), weight * 10, (low + high) / 2)
        return best
