"""Adversarial training: each batch is changed against the net before the net learns from it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sudare.nets.normalisation import BLACK, STD, WHITE

_REACH = 2.5
"""All steps together over epsilon: enough to cross the ball."""


def adversarial_view(
    losses_of: Callable[[torch.Tensor], torch.Tensor],
    view: torch.Tensor,
    *,
    epsilon: float,
    steps: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """A batch of normalised images moved to where the net does worse, from a random start.

    Args:
        losses_of: Loss of each image of a batch.
        view: Normalised images.
        epsilon: Largest change of a pixel, in grey levels of 255.
        steps: Steps of projected gradient ascent.
        generator: Source of the start, on the images' device.

    Source:
        Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks".
    """
    reach = epsilon / STD
    noise = 2 * torch.rand(view.shape, generator=generator, device=view.device) - 1
    # Views may lie a little outside of black and white; they are not pulled in.
    low = torch.minimum(view, torch.full_like(view, BLACK))
    high = torch.maximum(view, torch.full_like(view, WHITE))
    low, high = torch.maximum(low, view - reach), torch.minimum(high, view + reach)
    found = torch.clamp(view + reach * noise, low, high)
    for _ in range(steps):
        free = found.detach().requires_grad_()
        (slope,) = torch.autograd.grad(losses_of(free).sum(), [free])
        found = torch.clamp(free.detach() + _REACH * reach / steps * slope.sign(), low, high)
    return found.detach()
