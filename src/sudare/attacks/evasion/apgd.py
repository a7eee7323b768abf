"""Auto-PGD: PGD that needs no step size, with losses that a scaled net cannot hide behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from sudare.attacks.evasion.base import EvasionAttack, best_other, into_ball, lengths

_MOMENTUM, _RHO = 0.75, 0.75


@dataclass(frozen=True, kw_only=True)
class AutoPgd(EvasionAttack):
    """Momentum steps whose size is halved where the loss stops rising, from the best point.

    Attributes:
        steps: Steps.
        loss: ``ce``: cross-entropy; ``dlr``: difference of logits ratio, which needs three
            classes, and four with a target; with fewer the plain margin stands in.

    Source:
        Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
        diverse parameter-free attacks", algorithm 1 and equations 6 and 7.
    """

    name: ClassVar[str] = "apgd"
    in_autoattack: ClassVar[bool] = True

    steps: int = 50
    loss: Literal["ce", "dlr"] = "ce"

    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        noise = 2 * torch.rand(images.shape, generator=rng, device=images.device) - 1
        scale = self.epsilon / lengths(noise, self.norm).clamp_min(1e-12)[:, None, None, None]
        at = into_ball(images + scale * noise, images, self.epsilon, self.norm)
        losses, slope, wrong = self._look(net, at, labels, targets)
        best, best_loss, best_slope = at.clone(), losses.clone(), slope.clone()
        result = torch.where(wrong[:, None, None, None], at, images)
        done, before = wrong.clone(), at.clone()
        step = torch.full((len(images), 1, 1, 1), 2 * self.epsilon, device=images.device)
        rises = torch.zeros(len(images), device=images.device)
        marks = checkpoints(self.steps)
        halved = torch.ones(len(images), dtype=torch.bool, device=images.device)
        loss_at_mark, last_losses = best_loss.clone(), losses
        last_mark = 0
        for index in range(1, self.steps + 1):
            moved = into_ball(at + step * self._direction(slope), images, self.epsilon, self.norm)
            share = _MOMENTUM if index > 1 else 1.0
            onward = at + share * (moved - at) + (1 - share) * (at - before)
            before, at = at, into_ball(onward, images, self.epsilon, self.norm)
            losses, slope, wrong = self._look(net, at, labels, targets)
            new = wrong & ~done
            result[new] = at[new]
            done |= wrong
            if bool(done.all()):
                break
            rises += losses > last_losses
            last_losses = losses
            better = losses > best_loss
            best[better], best_slope[better] = at[better], slope[better]
            best_loss = torch.where(better, losses, best_loss)
            if index in marks:
                stuck = rises < _RHO * (index - last_mark)
                stuck |= ~halved & (loss_at_mark >= best_loss)
                step[stuck] /= 2
                at[stuck], slope[stuck] = best[stuck], best_slope[stuck]
                before[stuck] = best[stuck]
                halved, loss_at_mark = stuck, best_loss.clone()
                rises.zero_()
                last_mark = index
        result[~done] = best[~done]
        return result

    def _direction(self, slope: torch.Tensor) -> torch.Tensor:
        if self.norm == "linf":
            return slope.sign()
        return slope / lengths(slope, "l2").clamp_min(1e-12)[:, None, None, None]

    def _look(
        self,
        net: nn.Module,
        at: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Loss, its gradient, and who is fooled."""
        free = at.detach().requires_grad_()
        logits = net(free)
        losses = self._losses(logits, labels, targets)
        slope = self.gradient(losses.sum(), free)
        answers = logits.detach().argmax(dim=1)
        wrong = answers != labels if targets is None else answers == targets
        return losses.detach(), slope, wrong

    def _losses(
        self, logits: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor | None
    ) -> torch.Tensor:
        if self.loss == "ce":
            wanted = labels if targets is None else targets
            losses = nn.functional.cross_entropy(logits, wanted, reduction="none")
            return losses if targets is None else -losses
        if targets is not None:
            return targeted_dlr_loss(logits, labels, targets)
        return dlr_loss(logits, labels)


@dataclass(frozen=True, kw_only=True)
class DlrAutoPgd(AutoPgd):
    """Auto-PGD on the difference of logits ratio."""

    name: ClassVar[str] = "apgd-dlr"

    loss: Literal["ce", "dlr"] = "dlr"


def dlr_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Minus (z_y - max of others) over (largest - third largest); unmoved by scale and shift."""
    margin = logits.gather(1, labels[:, None])[:, 0] - best_other(logits, labels)
    if logits.shape[1] < 3:
        return -margin
    ordered = logits.sort(dim=1, descending=True).values
    return -margin / (ordered[:, 0] - ordered[:, 2] + 1e-12)


def targeted_dlr_loss(
    logits: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Minus (z_y - z_t) over (largest - mean of third and fourth)."""
    margin = logits.gather(1, labels[:, None])[:, 0] - logits.gather(1, targets[:, None])[:, 0]
    if logits.shape[1] < 4:
        return -margin
    ordered = logits.sort(dim=1, descending=True).values
    return -margin / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2 + 1e-12)


def checkpoints(steps: int) -> set[int]:
    """Steps after which the size is looked at: 22 %, then on by 3 % less each, at least 6 %."""
    first, less, least = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    marks, at, gap = set(), first, first
    while at <= steps:
        marks.add(at)
        gap = max(gap - less, least)
        at += gap
    return marks
