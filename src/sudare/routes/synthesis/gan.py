"""A small conditional GAN: projection discriminator, paired relativistic loss, averaged weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from sudare.core.errors import DataError
from sudare.core.hashing import Json
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.core.wording import as_json, from_json, say
from sudare.nets.generator import Generator
from sudare.routes.context import Stages
from sudare.routes.synthesis.config import GanConfig
from sudare.training.dsa import apply, draw, operations_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_BETAS = (0.0, 0.99)
_COLLAPSED = 0.2


class Discriminator(nn.Module):
    """How real an image of a class looks: a linear answer and the projection on its class.

    Args:
        image_shape: Channels, height, width.
        classes: Number of classes.
        width: Channels of the first stage, doubling.

    Source:
        Miyato and Koyama 2018, "cGANs with projection discriminator", eq. 3.
    """

    def __init__(self, image_shape: tuple[int, int, int], classes: int, *, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([image_shape[0], *widths]):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        sides = [side // 2 ** len(widths) for side in image_shape[1:]]
        self.join = nn.Linear(widths[-1] * math.prod(sides), 2 * widths[-1])
        self.answer = nn.Linear(2 * widths[-1], 1)
        self.embedding = nn.Embedding(classes, 2 * widths[-1])

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One number an image, ``[n]``."""
        found = functional.leaky_relu(self.join(self.features(images).flatten(1)), 0.2)
        projected = (self.embedding(labels) * found).sum(dim=1) / math.sqrt(found.shape[1])
        answer: torch.Tensor = self.answer(found)[:, 0] + projected
        return answer


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Paired relativistic loss, mean of softplus(fake - real): each real above its partner.

    Source:
        Jolicoeur-Martineau 2019; Huang et al. 2024, "The GAN is dead; long live the GAN!", eq. 2.
    """
    return functional.softplus(fake - real).mean()


def generator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The other side of it: mean of softplus(real - fake)."""
    return functional.softplus(real - fake).mean()


def gradient_penalty(
    discriminator: nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Half the squared gradient of the answers by the images, mean over images (R1, R2).

    Source:
        Mescheder et al. 2018, "Which training methods for GANs do actually converge?", eq. 9.
    """
    images = images.detach().requires_grad_()
    answers = discriminator(images, labels).sum()
    (gradient,) = torch.autograd.grad(answers, images, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() / 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """A state of the generator.

    Attributes:
        step: Steps taken.
        generator: Its averaged weights, in evaluation mode.
        note: What went wrong until then, or empty.
    """

    step: int
    generator: Generator
    note: str


def snapshot_steps(steps: int, count: int) -> list[int]:
    """Log-spaced steps, the last of all included; fewer where they would coincide.

    >>> snapshot_steps(1000, 4)
    [125, 250, 500, 1000]
    """
    return sorted({max(1, round(steps / 2**back)) for back in range(count)})


def train_gan(
    images: Float[torch.Tensor, "n c h w"],
    labels: Int[torch.Tensor, " n"],
    classes: int,
    config: GanConfig,
    *,
    seed: int,
    stages: Stages,
    progress: Progress,
) -> list[Snapshot]:
    """Train and give the generator at log-spaced steps; each is a stage that survives a kill.

    Divergence ends training and collapse is named; what was kept before is given.

    Args:
        images: Normalised private images on the device.
        labels: Their classes.
        classes: Number of classes.
        config: The generator and how it is trained.
        seed: Root of every random number.
        stages: Where snapshots are kept.
        progress: Where to report.

    Raises:
        DataError: Training diverged before the first snapshot.
    """
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    steps = snapshot_steps(config.steps, config.snapshots)
    found: list[Snapshot] = []
    before: Path | None = None
    with progress.stage("generator", config.steps) as bar:
        for first, last in itertools.pairwise([0, *steps]):
            trainer = _Trainer(shape, classes, config, seed, images.device)
            key: dict[str, Json] = {
                "config": config.model_dump(mode="json"),
                "until": last,
                "seed": seed,
                "shape": list(shape),
            }

            def make(
                folder: Path,
                trainer: _Trainer = trainer,
                before: Path | None = before,
                span: range = range(first, last),
            ) -> None:
                if before is not None:
                    trainer.load(before)
                trainer.run(images, labels, span)
                trainer.save(folder, images, labels)

            folder = stages.get("generator", key, make)
            trainer.load(folder)
            bar.advance(last - first)
            if trainer.diverged:
                break
            found.append(Snapshot(step=last, generator=trainer.averaged.eval(), note=trainer.note))
            before = folder
    if not found:
        raise DataError(
            "the generator diverged", where="synthesis", fix="Lower gan.lr, or raise gan.penalty."
        )
    return found


class _Trainer:
    """Both nets, their optimisers and the average; saved and loaded as a whole."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        config: GanConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        self._config, self._seed, self._classes = config, seed, classes
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(integer_seed(seed, "weights"))
            size = {"latent": config.latent, "width": config.width}
            self._generator = Generator(shape, classes, **size).to(device)
            self.averaged = Generator(shape, classes, **size).to(device)
            self._discriminator = Discriminator(shape, classes, width=config.width).to(device)
        self.averaged.load_state_dict(self._generator.state_dict())
        self.averaged.requires_grad_(requires_grad=False)
        self._optimisers = [
            torch.optim.Adam(net.parameters(), lr=config.lr, betas=_BETAS)
            for net in (self._generator, self._discriminator)
        ]
        self._operations = operations_of(flips=config.flips)
        self.diverged, self.note = False, ""

    def run(self, images: torch.Tensor, labels: torch.Tensor, span: Iterable[int]) -> None:
        """Take steps; each draws from a generator of its own."""
        for step in span:
            rng = torch.Generator(images.device).manual_seed(integer_seed(self._seed, "step", step))
            loss = self._step(images, labels, step, rng)
            if not math.isfinite(loss):
                self.diverged = True
                return

    def _step(
        self, images: torch.Tensor, labels: torch.Tensor, step: int, rng: torch.Generator
    ) -> float:
        config, device = self._config, images.device
        size = min(config.batch_size, len(images))
        rows = torch.randperm(len(images), generator=rng, device=device)[:size]
        real, classes = images[rows], labels[rows]
        latent = torch.randn(size, config.latent, generator=rng, device=device)
        for_generator, for_discriminator = self._optimisers
        fake = self._generator(latent, classes)
        # The discriminator first, on a fake that does not lead back to the generator.
        seen = self._seen(torch.cat([real, fake.detach()]), rng)
        both = torch.cat([classes, classes])
        told_real, told_fake = self._discriminator(seen, both).chunk(2)
        loss = discriminator_loss(told_real, told_fake)
        if config.penalty and step % config.penalty_every == 0:
            penalty = 2 * gradient_penalty(self._discriminator, seen, both)
            loss = loss + config.penalty * config.penalty_every * penalty
        for_discriminator.zero_grad(set_to_none=True)
        loss.backward()
        for_discriminator.step()
        self._discriminator.requires_grad_(requires_grad=False)
        seen = self._seen(torch.cat([real, fake]), rng)
        told_real, told_fake = self._discriminator(seen, both).chunk(2)
        back = generator_loss(told_real, told_fake)
        for_generator.zero_grad(set_to_none=True)
        back.backward()
        for_generator.step()
        self._discriminator.requires_grad_(requires_grad=True)
        with torch.no_grad():
            # The average follows faster at first, so that it forgets where it started from.
            keep = min(config.ema, (1 + step) / (10 + step))
            for kept, new in zip(
                self.averaged.parameters(), self._generator.parameters(), strict=True
            ):
                kept.lerp_(new, 1 - keep)
        return float(loss.detach() + back.detach())

    def _seen(self, images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """What the discriminator sees: real and generated images under the same kind of change."""
        if not self._config.augment:
            return images
        return apply(images, draw(self._operations, rng, n=len(images)))

    def _spread(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """Deviation within classes of generated images over that of real ones."""
        rng = torch.Generator(images.device).manual_seed(integer_seed(self._seed, "spread"))
        rows = torch.randperm(len(images), generator=rng, device=images.device)[:512]
        latent = torch.randn(len(rows), self._config.latent, generator=rng, device=images.device)
        with torch.no_grad():
            fake = self.averaged(latent, labels[rows])
        ratios = []
        for label in range(self._classes):
            own = labels[rows] == label
            if int(own.sum()) > 1:
                real = images[rows][own].std(dim=0).mean()
                ratios.append(float(fake[own].std(dim=0).mean() / real.clamp_min(1e-6)))
        return min(ratios, default=1.0)

    def save(self, folder: Path, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Write everything that the next steps need, and what went wrong."""
        spread = self._spread(images, labels)
        note = say("option.collapsed", spread=f"{spread:.2f}") if spread < _COLLAPSED else ""
        torch.save(
            {
                "generator": self._generator.state_dict(),
                "averaged": self.averaged.state_dict(),
                "discriminator": self._discriminator.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
                "diverged": self.diverged or not math.isfinite(spread),
                "note": as_json(note),
            },
            folder / "state.pt",
        )

    def load(self, folder: Path) -> None:
        """Go on where a saved state was."""
        state = torch.load(folder / "state.pt", weights_only=True)
        self._generator.load_state_dict(state["generator"])
        self.averaged.load_state_dict(state["averaged"])
        self._discriminator.load_state_dict(state["discriminator"])
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.diverged, self.note = bool(state["diverged"]), from_json(state["note"])
