"""Plug & Play: sample latents that look like the class, optimise them, keep the robust ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from sudare.attacks.inversion.losses import LOSSES
from sudare.attacks.inversion.priors import Prior
from sudare.core.errors import ConfigError
from sudare.core.progress import Progress, Silent
from sudare.core.seeds import integer_seed

if TYPE_CHECKING:
    from jaxtyping import Float

_BATCH = 256
_RANGE = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Inverted:
    """What an inversion gave, class by class.

    Attributes:
        images: ``float32 [K, k, c, h, w]``, the selected ones, normalised and cut to pixels.
        confidence: ``float32 [K, k]``, the target's mean confidence in them over views.
        every: ``float32 [K, m, c, h, w]``, all optimised candidates.
        first: ``float32 [K, m, c, h, w]``, the candidates before they were optimised.
        cosine: ``float32 [K, m]``, the cosine between each candidate's gradients of one step and
            the next, mean over steps; NaN where there are fewer than two.
    """

    images: Float[torch.Tensor, "K k c h w"]
    confidence: Float[torch.Tensor, "K k"]
    every: Float[torch.Tensor, "K m c h w"]
    first: Float[torch.Tensor, "K m c h w"]
    cosine: Float[torch.Tensor, "K m"]


@dataclass(frozen=True, kw_only=True)
class PlugAndPlay:
    """Inversion with a decoder that is trained once and used against any net.

    Each stage may use another net: what of the attack depends on the target is seen by swapping.

    Attributes:
        pool: Latents that are tried, the same for all classes.
        candidates: Best of them for each class, to be optimised.
        keep: Optimised images of each class that are given.
        steps: Steps of Adam on the latents.
        lr: Its learning rate.
        loss: A name of ``LOSSES``.
        views: Random crops in each step over which gradients are averaged; above 1 the attack is
            adapted to nets whose gradients are masked (Peng et al. 2025).
        crops: Least side of a crop while optimising.
        selection: Crops a candidate is judged by at the end.
        selection_crops: Least side of those; at 224 pixels a half was published, at 32 pixels
            half a face is nobody's.
        reach: Latents are held within so many standard deviations.

    Source:
        Struppek et al. 2022, "Plug & Play Attacks: towards robust and flexible model inversion
        attacks", with latents of a Gaussian prior instead of a style space.
    """

    pool: int = 1000
    candidates: int = 10
    keep: int = 5
    steps: int = 50
    lr: float = 0.05
    loss: str = "poincare"
    views: int = 1
    crops: float = 0.9
    selection: int = 25
    selection_crops: float = 0.8
    reach: float = 2.5

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ConfigError(f"there is no loss {self.loss!r}", fix=f"Choose of {list(LOSSES)}.")
        if not 1 <= self.keep <= self.candidates <= self.pool:
            raise ConfigError("keep, candidates and pool must each be at most the next")

    def __call__(
        self,
        net: nn.Module,
        prior: Prior,
        classes: torch.Tensor,
        *,
        seed: int,
        sampler: nn.Module | None = None,
        selector: nn.Module | None = None,
        progress: Progress | None = None,
    ) -> Inverted:
        """Invert some classes of a net.

        Args:
            net: The target, in evaluation mode; it answers normalised images.
            prior: Decoder of latents.
            classes: ``int64 [K]`` on the device.
            seed: Seed of all draws.
            sampler: The net of the first stage; the target if None.
            selector: The net of the last stage; the target if None.
            progress: Where to report.
        """
        rng = torch.Generator(classes.device).manual_seed(integer_seed(seed, "inversion"))
        latents = self._sampled(sampler or net, prior, classes, rng)
        first = _decoded(prior, latents.flatten(0, 1)).unflatten(0, latents.shape[:2])
        labels = classes.repeat_interleave(self.candidates)
        found, cosine = self._optimised(net, prior, latents.flatten(0, 1), labels, rng, progress)
        every = _decoded(prior, found)
        sure = self._robust(selector or net, every, labels, rng)
        sure = sure.unflatten(0, latents.shape[:2])
        every = every.unflatten(0, latents.shape[:2])
        best = sure.argsort(dim=1, descending=True, stable=True)[:, : self.keep]
        rows = torch.arange(len(classes), device=classes.device)[:, None]
        return Inverted(
            images=every[rows, best],
            confidence=sure[rows, best],
            every=every,
            first=first,
            cosine=cosine.unflatten(0, latents.shape[:2]),
        )

    def _sampled(
        self, net: nn.Module, prior: Prior, classes: torch.Tensor, rng: torch.Generator
    ) -> torch.Tensor:
        """For each class the latents whose images, and their mirrors, look most like it."""
        pool = prior.sample(self.pool, rng).clamp(-self.reach, self.reach)
        parts = []
        with torch.no_grad():
            for some in pool.split(_BATCH):
                images = _decoded(prior, some)
                told = [net(view).softmax(dim=1) for view in (images, images.flip(3))]
                parts.append((told[0] + told[1])[:, classes] / 2)
        scores = torch.cat(parts)
        best = scores.argsort(dim=0, descending=True, stable=True)[: self.candidates]
        return pool[best.T]

    def _optimised(
        self,
        net: nn.Module,
        prior: Prior,
        latents: torch.Tensor,
        labels: torch.Tensor,
        rng: torch.Generator,
        progress: Progress | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Moved latents, and how alike the gradients of consecutive steps were."""
        measure, done, alike = LOSSES[self.loss], [], []
        batches = list(zip(latents.split(_BATCH), labels.split(_BATCH), strict=True))
        net.requires_grad_(requires_grad=False)
        with (progress or Silent()).stage("inversion", len(batches) * self.steps) as bar:
            for start, own in batches:
                here = start.clone().requires_grad_()
                optimiser = torch.optim.Adam([here], lr=self.lr, betas=(0.1, 0.1))
                cosines: list[torch.Tensor] = []
                before: torch.Tensor | None = None
                for _ in range(self.steps):
                    images = prior.decode(here)
                    loss = torch.zeros((), device=here.device)
                    for _ in range(self.views):
                        crop = random_crops(images, self.crops, 1.0, rng)
                        loss = loss + measure(net(crop), own).sum() / self.views
                    (here.grad,) = torch.autograd.grad(loss, here)
                    if before is not None:
                        cosines.append(functional.cosine_similarity(here.grad, before, dim=1))
                    before = here.grad
                    optimiser.step()
                    with torch.no_grad():
                        here.clamp_(-self.reach, self.reach)
                    bar.advance()
                done.append(here.detach())
                no = torch.full((len(own),), math.nan, device=here.device)
                alike.append(torch.stack(cosines).mean(dim=0) if cosines else no)
        return torch.cat(done), torch.cat(alike)

    def _robust(
        self, net: nn.Module, images: torch.Tensor, labels: torch.Tensor, rng: torch.Generator
    ) -> torch.Tensor:
        """Mean confidence in the target over many crops, ``[n]``."""
        sure = torch.zeros(len(images), device=images.device)
        with torch.no_grad():
            for _ in range(self.selection):
                views = random_crops(images, self.selection_crops, 1.0, rng)
                told = torch.cat([net(some).softmax(dim=1) for some in views.split(_BATCH)])
                sure += told.gather(1, labels[:, None])[:, 0] / self.selection
        return sure


def random_crops(
    images: Float[torch.Tensor, "n c h w"], low: float, high: float, rng: torch.Generator
) -> Float[torch.Tensor, "n c h w"]:
    """A random square of each image, resized to the whole; differentiable.

    Args:
        images: Images on the generator's device.
        low: Least side as a share of the image's.
        high: Largest.
        rng: Source.
    """
    numbers = torch.rand(len(images), 3, generator=rng, device=images.device)
    side = low + (high - low) * numbers[:, 0]
    shift = (1 - side)[:, None] * (2 * numbers[:, 1:] - 1)
    zero = torch.zeros_like(side)
    rows = torch.stack(
        [
            torch.stack([side, zero, shift[:, 0]], dim=1),
            torch.stack([zero, side, shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(rows, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False, padding_mode="border")


def _decoded(prior: Prior, latents: torch.Tensor) -> torch.Tensor:
    """Images of latents, cut to what a pixel can be; without a graph."""
    with torch.no_grad():
        parts = [prior.decode(some).clamp(-_RANGE, _RANGE) for some in latents.split(_BATCH)]
    return torch.cat(parts)
