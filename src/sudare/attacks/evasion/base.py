"""What every evasion attack has: bounds, a ball, and images that are fooled already left alone."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, final

import torch
from torch import nn

from sudare.core.errors import AuditError
from sudare.nets.normalisation import normalise_shares

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

Norm = Literal["linf", "l2"]
_SLACK = 1e-6
_AT_ONCE = 64
"""Images at a time on a CPU: what a small net keeps of many more falls out of the caches."""


class PixelNet(nn.Module):
    """A net of normalised images as one of pixels in 0 to 1.

    Args:
        net: The net; where several answer, the mean of their logits.
    """

    def __init__(self, *nets: nn.Module) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets).eval()

    def forward(self, images: Float[torch.Tensor, "n c h w"]) -> Float[torch.Tensor, "n C"]:
        """Logits."""
        view = normalise_shares(images)
        return torch.stack([net(view) for net in self.nets]).mean(dim=0)


@dataclass(frozen=True, kw_only=True)
class EvasionAttack(ABC):
    """An attack with a budget. A subclass writes ``_run``.

    Attributes:
        epsilon: Largest change: of any pixel (``linf``) or in length (``l2``), in 0 to 1.
        norm: Which.
    """

    name: ClassVar[str]
    label: ClassVar[str] = ""
    """What an attack of another package is called on pages; ours are rows of the catalogues."""
    follows_gradients: ClassVar[bool] = True
    """Whether it takes many steps along gradients: one that does not and still does better shows
    that gradients are hidden."""
    in_autoattack: ClassVar[bool] = False
    """Whether it counts among AutoAttack's attacks."""

    epsilon: float = 8 / 255
    norm: Norm = "linf"

    @classmethod
    def of_budget(cls, *, epsilon: float, steps: int, queries: int, classes: int) -> Self:
        """The attack with a budget, of which it takes what it has fields for.

        Args:
            epsilon: Largest change of a pixel, in 0 to 1.
            steps: Steps along gradients.
            queries: Questions about each image.
            classes: Other classes that targeted attacks aim at.
        """
        budget: dict[str, Any] = {"steps": steps, "queries": queries, "classes": classes}
        fields = {field.name for field in dataclasses.fields(cls)}
        return cls(epsilon=epsilon, **{n: v for n, v in budget.items() if n in fields})

    @final
    def __call__(
        self,
        net: nn.Module,
        images: Float[torch.Tensor, "n c h w"],
        labels: Int[torch.Tensor, " n"],
        *,
        seed: int = 0,
        targets: Int[torch.Tensor, " n"] | None = None,
    ) -> Float[torch.Tensor, "n c h w"]:
        """Changed images: in the ball, in 0 to 1, and unchanged where nothing was found.

        Args:
            net: Logits of images in 0 to 1.
            images: In 0 to 1.
            labels: True classes.
            seed: Seed of the attack's draws.
            targets: Classes to be answered; any wrong one if None.

        Raises:
            AuditError: Images outside 0 to 1, or a net whose answer has no gradient.
        """
        if len(images) and (float(images.min()) < 0 or float(images.max()) > 1):
            raise AuditError("evasion works on pixels in 0 to 1", where=self.name)
        result = images.clone()
        with torch.no_grad():
            answers = net(images).argmax(dim=1) if len(images) else labels
        # Who is wrong already needs no attack.
        rows = torch.nonzero(answers == labels if targets is None else answers != targets)[:, 0]
        if not len(rows):
            return result
        rng = torch.Generator(images.device).manual_seed(seed)
        for some in rows.split(_AT_ONCE if images.device.type == "cpu" else len(rows)):
            wanted = None if targets is None else targets[some]
            found = self._run(net, images[some], labels[some], wanted, rng)
            # What lies outside of 0 to 1 is no part of the change, and must not make it longer.
            found = into_ball(found.clamp(0, 1), images[some], self.epsilon, self.norm)
            won = fooled(net, found, labels[some], wanted)
            result[some[won]] = found[won]
        return result

    @abstractmethod
    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        """Changed images of those the net has right; may leave the ball, which is then cut."""

    def gradient(
        self, loss: torch.Tensor, images: torch.Tensor, *, again: bool = False
    ) -> torch.Tensor:
        """The gradient of a loss by images.

        Args:
            loss: One number.
            images: What it is derived by.
            again: Whether another gradient of the same answer will be asked for.

        Raises:
            AuditError: The net's answer does not depend on its input in a way that can be seen.
        """
        if not loss.requires_grad:
            raise AuditError(
                "the net gives no gradient",
                where=self.name,
                fix="It detaches its input; only attacks by queries (square) can be run.",
            )
        (found,) = torch.autograd.grad(loss, [images], allow_unused=True, retain_graph=again)
        # A gradient may be one number seen everywhere, which cannot be written into.
        return torch.zeros_like(images) if found is None else found.contiguous()


def fooled(
    net: nn.Module, images: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor | None = None
) -> Bool[torch.Tensor, " n"]:
    """Whether the answer is wrong, or the wanted one."""
    with torch.no_grad():
        answers = net(images).argmax(dim=1)
    won: torch.Tensor = answers != labels if targets is None else answers == targets
    return won


def lengths(change: torch.Tensor, norm: Norm) -> Float[torch.Tensor, " n"]:
    """The size of each change."""
    flat = change.flatten(1)
    size: torch.Tensor = flat.abs().amax(dim=1) if norm == "linf" else flat.norm(dim=1)
    return size


def into_ball(
    images: torch.Tensor, around: torch.Tensor, epsilon: float, norm: Norm
) -> Float[torch.Tensor, "n c h w"]:
    """Cut changes to the ball, then to 0 to 1; the second makes no change longer."""
    change = images - around
    if norm == "linf":
        change = change.clamp(-epsilon, epsilon)
    else:
        size = lengths(change, norm).clamp_min(1e-12)
        change = change * (epsilon * (1 - _SLACK) / size).clamp_max(1.0)[:, None, None, None]
    return (around + change).clamp(0, 1)


def best_other(logits: torch.Tensor, labels: torch.Tensor) -> Float[torch.Tensor, " n"]:
    """The largest logit but the label's."""
    masked = logits.scatter(1, labels[:, None], -torch.inf)
    value: torch.Tensor = masked.amax(dim=1)
    return value
