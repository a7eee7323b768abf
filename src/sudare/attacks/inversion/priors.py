"""What an attacker knows of images in general: a decoder from latents, fitted on their own."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from sudare.attacks.registry import PRIORS
from sudare.core.errors import DataError
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.nets.weights import state_of

if TYPE_CHECKING:
    from jaxtyping import Float

_STAGES = 2
_WIDTHS = (64, 32, 16)
_RANGE = 2.0


class Prior(Protocol):
    """Latents that are standard normal where images are usual, and a decoder to images.

    Attributes:
        latent: Length of a latent.
    """

    latent: int

    def sample(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Latents ``[count, z]`` of usual images."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Normalised images ``[n, c, h, w]``, differentiable."""


class FittedPrior(nn.Module, ABC):
    """A prior that learns from an attacker's own images; made of a shape and a latent's length."""

    latent: int

    @abstractmethod
    def fit(
        self,
        images: Float[torch.Tensor, "n c h w"],
        *,
        steps: int,
        seed: int,
        progress: Progress,
    ) -> None:
        """Learn what images are like.

        Args:
            images: Normalised images, none of them private.
            steps: Steps of training, where it takes steps.
            seed: Seed of order and draws.
            progress: Where to report.
        """

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Latents ``[count, z]`` of usual images."""

    @abstractmethod
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Normalised images ``[n, c, h, w]``, differentiable."""


class PcaPrior(FittedPrior):
    """A Gaussian on the leading principal components: exact, linear, fitted in seconds.

    Args:
        image_shape: Channels, height, width.
        latent: Number of components.
    """

    mean: torch.Tensor
    components: torch.Tensor

    def __init__(self, image_shape: tuple[int, int, int], latent: int) -> None:
        super().__init__()
        self.latent, self._shape = latent, image_shape
        size = math.prod(image_shape)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("components", torch.zeros(latent, size))

    def fit(
        self,
        images: Float[torch.Tensor, "n c h w"],
        *,
        steps: int = 0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        """Mean and components, each as long as images vary along it; exact, without steps."""
        flat = images.flatten(1).double()
        mean = flat.mean(dim=0)
        _, spread, rows = torch.linalg.svd(flat - mean, full_matrices=False)
        count = min(self.latent, len(spread))
        lengths = spread[:count] / math.sqrt(max(1, len(flat) - 1))
        self.mean.copy_(mean)
        self.components.zero_()
        self.components[:count] = (lengths[:, None] * rows[:count]).to(self.components)

    def sample(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Standard normal latents."""
        return torch.randn(count, self.latent, generator=generator, device=generator.device)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Images of latents."""
        return (self.mean + latents @ self.components).reshape(-1, *self._shape)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Latents of the images' projections."""
        lengths = self.components.square().sum(dim=1).clamp_min(1e-12)
        return ((images.flatten(1) - self.mean) @ self.components.T) / lengths


class VaePrior(FittedPrior):
    """A small convolutional variational autoencoder.

    Args:
        image_shape: Channels, height, width.
        latent: Length of the latent.

    Source:
        Kingma and Welling 2014, "Auto-encoding variational Bayes", eq. 10, with a Gaussian
        likelihood of fixed variance.
    """

    def __init__(self, image_shape: tuple[int, int, int], latent: int) -> None:
        super().__init__()
        self.latent, self._shape = latent, image_shape
        sides = [math.ceil(side / 2**_STAGES) for side in image_shape[1:]]
        self._small = (_WIDTHS[0], *sides)
        self._full = (sides[0] * 2**_STAGES, sides[1] * 2**_STAGES)
        self.encoder = nn.Sequential(
            nn.Conv2d(image_shape[0], _WIDTHS[1], 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(_WIDTHS[1], _WIDTHS[0], 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(math.prod(self._small), 2 * latent),
        )
        self.start = nn.Linear(latent, math.prod(self._small))
        self.decoder = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(_WIDTHS[0], _WIDTHS[1], 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(_WIDTHS[1], _WIDTHS[2], 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(_WIDTHS[2], image_shape[0], 3, 1, 1),
        )

    def fit(
        self,
        images: Float[torch.Tensor, "n c h w"],
        *,
        steps: int,
        seed: int,
        progress: Progress,
        batch: int = 64,
        beta: float = 1.0,
        noise: float = 0.3,
    ) -> None:
        """Maximise the evidence bound.

        Args:
            images: Normalised images.
            steps: Steps of Adam.
            seed: Seed of order and draws.
            progress: Where to report.
            batch: Images a step.
            beta: Weight of the divergence.
            noise: Standard deviation of a pixel, in normalised units.

        Raises:
            DataError: It diverged.
        """
        device = images.device
        rng = torch.Generator(device).manual_seed(seed)
        optimiser = torch.optim.Adam(self.parameters(), lr=1e-3)
        loss = torch.zeros(())
        with progress.stage("prior", steps) as bar:
            for _ in range(steps):
                rows = torch.randint(len(images), (batch,), generator=rng, device=device)
                real = images[rows]
                mean, log_variance = self._posterior(real)
                drawn = torch.randn(mean.shape, generator=rng, device=device)
                made = self.decode(mean + drawn * (0.5 * log_variance).exp())
                misfit = (made - real).square().flatten(1).sum(dim=1) / (2 * noise**2)
                apart = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
                loss = (misfit + beta * apart).mean()
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self.parameters(), 1000.0)
                optimiser.step()
                bar.advance()
        if not math.isfinite(float(loss.detach())):
            raise DataError("the prior diverged", where="inversion", fix="Lower prior_steps.")

    def _posterior(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = self._shape[1:]
        padded = functional.pad(images, (0, self._full[1] - width, 0, self._full[0] - height))
        mean, log_variance = self.encoder(padded).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def sample(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Standard normal latents."""
        return torch.randn(count, self.latent, generator=generator, device=generator.device)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Images of latents."""
        small = self.start(latents).reshape(-1, *self._small)
        images: torch.Tensor = _RANGE * torch.tanh(self.decoder(small) / _RANGE)
        _, height, width = self._shape
        return images[:, :, :height, :width]

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Means of the posterior."""
        return self._posterior(images)[0]


def fit_prior(
    kind: str,
    images: Float[torch.Tensor, "n c h w"],
    *,
    latent: int,
    steps: int,
    seed: int,
    progress: Progress,
) -> FittedPrior:
    """A prior fitted on an attacker's own images.

    Args:
        kind: A name of the registry of priors.
        images: Normalised images, none of them private.
        latent: Length of the latent.
        steps: Steps of training, where it takes steps.
        seed: Seed of it.
        progress: Where to report.
    """
    prior = _empty(kind, tuple(images.shape[1:]), latent, seed).to(images.device)
    prior.fit(images, steps=steps, seed=integer_seed(seed, "fit"), progress=progress)
    return prior


def save_prior(prior: FittedPrior, target: Path) -> None:
    """Write its tensors."""
    save_file(state_of(prior), target)


def load_prior(
    path: Path, kind: str, image_shape: tuple[int, int, int], *, latent: int, device: str
) -> FittedPrior:
    """Read what ``save_prior`` wrote."""
    prior = _empty(kind, image_shape, latent, 0)
    prior.load_state_dict(load_file(path))
    return prior.to(device).requires_grad_(requires_grad=False).eval()


def _empty(kind: str, shape: tuple[int, ...], latent: int, seed: int) -> FittedPrior:
    prior = cast("type[FittedPrior]", PRIORS.load(kind))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(seed, "weights"))
        return prior(cast("tuple[int, int, int]", shape), latent)
