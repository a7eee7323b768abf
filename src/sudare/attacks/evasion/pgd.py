"""PGD: many small steps, each cut back to the ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from sudare.attacks.evasion.base import EvasionAttack, into_ball, lengths


@dataclass(frozen=True, kw_only=True)
class Pgd(EvasionAttack):
    """Projected gradient descent.

    Attributes:
        steps: How many.
        relative_step: Step over epsilon.
        random_start: Whether to start anywhere in the ball.

    Source:
        Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks".
    """

    name: ClassVar[str] = "pgd"

    steps: int = 20
    relative_step: float = 0.1
    random_start: bool = True

    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        step = self.epsilon * self.relative_step
        found = images.clone()
        if self.random_start:
            noise = 2 * torch.rand(images.shape, generator=rng, device=images.device) - 1
            found = into_ball(images + self.epsilon * noise, images, self.epsilon, self.norm)
        rows = torch.arange(len(images), device=images.device)
        wanted = labels if targets is None else targets
        for _ in range(self.steps):
            free = found[rows].requires_grad_()
            logits = net(free)
            # Who is fooled is done; seen by the pass that the next step needs anyway.
            answers = logits.detach().argmax(dim=1)
            on = answers == labels[rows] if targets is None else answers != targets[rows]
            if not bool(on.any()):
                break
            loss = nn.functional.cross_entropy(logits, wanted[rows], reduction="sum")
            slope = self.gradient(loss, free)[on] * (1 if targets is None else -1)
            rows, at = rows[on], free.detach()[on]
            if self.norm == "linf":
                moved = at + step * slope.sign()
            else:
                size = lengths(slope, "l2").clamp_min(1e-12)[:, None, None, None]
                moved = at + step * slope / size
            found[rows] = into_ball(moved, images[rows], self.epsilon, self.norm)
        return found
