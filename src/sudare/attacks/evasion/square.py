"""Square: random squares, kept where they help; asks for scores only, so no gradient can hide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from sudare.attacks.evasion.base import EvasionAttack, best_other

# Share of the pixels a square covers, halved at these of 10,000 queries.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@dataclass(frozen=True, kw_only=True)
class Square(EvasionAttack):
    """Random search over squares of plus or minus epsilon (Linf only).

    Attributes:
        queries: Questions about each image.
        share: Share of the pixels that the first square covers.

    Source:
        Andriushchenko et al. 2020, "Square attack", algorithm 2.
    """

    name: ClassVar[str] = "square"
    follows_gradients: ClassVar[bool] = False
    in_autoattack: ClassVar[bool] = True

    queries: int = 500
    share: float = 0.8

    def _run(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor | None,
        rng: torch.Generator,
    ) -> torch.Tensor:
        n, channels, height, width = images.shape
        device = images.device

        def signs(*shape: int) -> torch.Tensor:
            coin = torch.randint(0, 2, shape, generator=rng, device=device)
            return self.epsilon * (2.0 * coin - 1)

        # Vertical stripes to begin with.
        found = (images + signs(n, channels, 1, width)).clamp(0, 1)
        margins = _margins(net, found, labels, targets)
        for query in range(1, self.queries):
            rows = torch.nonzero(margins > 0)[:, 0]
            if not len(rows):
                break
            side = self._side(query, height, width)
            top, left = (
                torch.randint(0, size - side + 1, (len(rows),), generator=rng, device=device)
                for size in (height, width)
            )
            y = torch.arange(height, device=device)[None, :, None]
            x = torch.arange(width, device=device)[None, None, :]
            inside = (y >= top[:, None, None]) & (y < top[:, None, None] + side)
            inside = inside & (x >= left[:, None, None]) & (x < left[:, None, None] + side)
            square = (images[rows] + signs(len(rows), channels, 1, 1)).clamp(0, 1)
            tried = torch.where(inside[:, None], square, found[rows])
            new = _margins(net, tried, labels[rows], None if targets is None else targets[rows])
            better = new < margins[rows]
            found[rows[better]] = tried[better]
            margins[rows[better]] = new[better]
        return found

    def _side(self, query: int, height: int, width: int) -> int:
        at = query * 10_000 / self.queries
        share = self.share / 2 ** sum(at > mark for mark in _HALVINGS)
        return int(min(max(round((share * height * width) ** 0.5), 1), height - 1, width - 1) or 1)


def _margins(
    net: nn.Module, images: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor | None
) -> torch.Tensor:
    """By how much the answer is still right."""
    with torch.no_grad():
        logits = net(images)
    wanted = labels if targets is None else targets
    margin: torch.Tensor = logits.gather(1, wanted[:, None])[:, 0] - best_other(logits, wanted)
    return margin if targets is None else -margin
