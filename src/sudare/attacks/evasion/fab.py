"""FAB: the shortest way over the boundary, from the image and from where the search stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from sudare.attacks.evasion.base import EvasionAttack, Norm, fooled, lengths

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True, kw_only=True)
class Fab(EvasionAttack):
    """Projections onto linearised boundaries with likely classes, drawn back to the image.

    Looks for the shortest change, so it does not depend on the ball; which images lie inside is
    seen afterwards, and an image that does is left alone. No random starts.

    Attributes:
        steps: Steps towards each class.
        classes: Likeliest other classes, one after the other (FAB-T); one that is wanted instead.
        pull: At most so much of the step is the image's own projection.
        beyond: How far over the plane, as a multiple of the step.
        back: Share of the change that is kept once the answer is wrong.

    Source:
        Croce and Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary
        attack", algorithm 1, with targets as in AutoAttack.
    """

    name: ClassVar[str] = "fab"
    in_autoattack: ClassVar[bool] = True

    steps: int = 50
    classes: int = 9
    pull: float = 0.1
    beyond: float = 1.05
    back: float = 0.9

    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        with torch.no_grad():
            others = net(images).scatter(1, labels[:, None], -torch.inf)
        count = min(self.classes, others.shape[1] - 1)
        aims = others.argsort(dim=1, descending=True)[:, :count]
        if targets is not None:
            aims = targets[:, None]
        best = images.clone()
        shortest = torch.full((len(images),), torch.inf, device=images.device)
        for column in range(aims.shape[1]):
            rows = torch.nonzero(shortest > self.epsilon)[:, 0]
            if not len(rows):
                break
            wanted = None if targets is None else targets[rows]
            found, size = self._towards(net, images[rows], labels[rows], aims[rows, column], wanted)
            better = size < shortest[rows]
            best[rows[better]], shortest[rows[better]] = found[better], size[better]
        return best

    def _towards(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        aims: torch.Tensor,
        targets: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The best change on the way to one class each, and its size; infinite if there is none."""
        at, best = images.clone(), images.clone()
        shortest = torch.full((len(images),), torch.inf, device=images.device)
        for _ in range(self.steps):
            gap, slope = self._boundary(net, at, labels, aims)
            apart = (slope * (images - at)).flatten(1).sum(dim=1)
            near = onto_plane(at, slope, -gap, self.norm)
            own = onto_plane(images, slope, -gap - apart, self.norm)
            far, close = lengths(own, self.norm), lengths(near, self.norm)
            share = (close / (close + far).clamp_min(1e-12)).clamp_max(self.pull)
            share = share[:, None, None, None]
            onward = (1 - share) * (at + self.beyond * near)
            at = (onward + share * (images + self.beyond * own)).clamp(0, 1)
            won, size = fooled(net, at, labels, targets), lengths(at - images, self.norm)
            better = won & (size < shortest)
            best[better], shortest[better] = at[better], size[better]
            at[won] = images[won] + self.back * (at - images)[won]
        return best, shortest

    def _boundary(
        self, net: nn.Module, at: torch.Tensor, labels: torch.Tensor, aims: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """By how much the own class leads the one aimed at, and the slope of that."""
        free = at.detach().requires_grad_()
        logits = net(free)
        gap = logits.gather(1, labels[:, None])[:, 0] - logits.gather(1, aims[:, None])[:, 0]
        slope = self.gradient(gap.sum(), free)
        return gap.detach(), slope


def onto_plane(
    images: Float[torch.Tensor, "n c h w"],
    slope: Float[torch.Tensor, "n c h w"],
    goal: Float[torch.Tensor, " n"],
    norm: Norm,
) -> Float[torch.Tensor, "n c h w"]:
    """The shortest change d within 0 to 1 with <slope, d> = goal; as near as it gets otherwise.

    Every pixel goes the way that helps until it has no room left: for ``linf`` all at the same
    pace t, for ``l2`` in proportion to its slope. What is gained, the sum of gains
    ``c min(t, k)``, is piecewise linear in t, and t follows from sorting where pixels stop.

    Args:
        images: In 0 to 1.
        slope: Normal of each plane.
        goal: What the change has to gain along it.
        norm: What is shortest.
    """
    way = goal.sign()[:, None] * slope.flatten(1).sign()
    steep, flat = slope.flatten(1).abs(), images.flatten(1)
    room = torch.where(way > 0, 1 - flat, flat)
    pace = torch.ones_like(steep) if norm == "linf" else steep
    stops = torch.where(pace > 0, room / pace.clamp_min(1e-20), 0.0)
    time = _time(steep * pace, stops, goal.abs())
    change = way * torch.minimum(time[:, None] * pace, room)
    return change.view_as(images)


def _time(gains: torch.Tensor, stops: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """The t at which sum gains * min(t, stops) reaches the goal; the last stop if it never does."""
    stops, order = stops.sort(dim=1)
    gains = gains.gather(1, order)
    stopped = (gains * stops).cumsum(dim=1)
    going = gains.sum(dim=1, keepdim=True) - gains.cumsum(dim=1)
    reached = stopped + going * stops
    index = torch.searchsorted(reached, goal[:, None]).clamp_max(stops.shape[1] - 1)
    # Between this stop and the one before, only what still goes gains.
    before = (index - 1).clamp_min(0)
    first = index == 0
    base = torch.where(first, 0.0, stopped.gather(1, before))
    rate = torch.where(first, gains.sum(dim=1, keepdim=True), going.gather(1, before))
    time = (goal[:, None] - base) / rate.clamp_min(1e-20)
    return torch.minimum(time, stops.gather(1, index))[:, 0]
