"""AutoAttack: four attacks one after the other, each on the images that are still right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from sudare.attacks.evasion.apgd import AutoPgd
from sudare.attacks.evasion.base import EvasionAttack, fooled
from sudare.attacks.evasion.fab import Fab
from sudare.attacks.evasion.square import Square


@dataclass(frozen=True, kw_only=True)
class TargetedAutoPgd(EvasionAttack):
    """APGD-T: Auto-PGD towards the likeliest wrong classes, one after the other.

    Attributes:
        steps: Steps towards each class.
        classes: How many classes are tried.
    """

    name: ClassVar[str] = "apgd-t"
    in_autoattack: ClassVar[bool] = True

    steps: int = 100
    classes: int = 9

    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        attack = AutoPgd(epsilon=self.epsilon, norm=self.norm, steps=self.steps, loss="dlr")
        if targets is not None:
            return attack(net, images, labels, seed=_seed(rng), targets=targets)
        with torch.no_grad():
            logits = net(images).scatter(1, labels[:, None], -torch.inf)
        order, found = logits.argsort(dim=1, descending=True), images.clone()
        for rank in range(min(self.classes, order.shape[1] - 1)):
            rows = torch.nonzero(~fooled(net, found, labels))[:, 0]
            if not len(rows):
                break
            found[rows] = attack(
                net, images[rows], labels[rows], seed=_seed(rng), targets=order[rows, rank]
            )
        return found


@dataclass(frozen=True, kw_only=True)
class AutoAttack(EvasionAttack):
    """APGD-CE, APGD-T, FAB-T and, under Linf, Square: the standard form.

    Attributes:
        steps: Steps of APGD and FAB.
        classes: Classes that targeted attacks try.
        queries: Queries of Square for each image.

    Source:
        Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
        diverse parameter-free attacks", section 6.
    """

    name: ClassVar[str] = "autoattack"

    steps: int = 100
    classes: int = 9
    queries: int = 5000

    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        found = images.clone()
        for attack in self._attacks():
            rows = torch.nonzero(~fooled(net, found, labels, targets))[:, 0]
            if not len(rows):
                break
            wanted = None if targets is None else targets[rows]
            found[rows] = attack(net, images[rows], labels[rows], seed=_seed(rng), targets=wanted)
        return found

    def _attacks(self) -> Iterator[EvasionAttack]:
        epsilon, norm, steps = self.epsilon, self.norm, self.steps
        yield AutoPgd(epsilon=epsilon, norm=norm, steps=steps)
        yield TargetedAutoPgd(epsilon=epsilon, norm=norm, steps=steps, classes=self.classes)
        yield Fab(epsilon=epsilon, norm=norm, steps=steps, classes=self.classes)
        if norm == "linf":
            yield Square(epsilon=epsilon, queries=self.queries)


def _seed(rng: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=rng, device=rng.device))
