"""Generative knowledge distillation: images drawn anew, filtered, under a teacher's answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from sudare.core.errors import DataError
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.nets.normalisation import normalise, to_pixels
from sudare.routes.synthesis.config import GkdConfig
from sudare.training.augment import training_view
from sudare.training.compiled import forward_of
from sudare.training.losses import soft_cross_entropy
from sudare.training.optimisers import make_optimiser, rate_at
from sudare.training.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

_TRIES = 10
"""Draws for one image that a filter lets through, before the best of them is taken."""
_BATCH = 256
_SMOOTHED = 0.1
"""The code that ``tckr`` is named after smooths soft labels by this."""

Draws = Callable[[int], "Drawn"]
"""From the number of an epoch to a set of generated images."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """Generated images.

    Attributes:
        images: ``uint8 [m, c, h, w]``, rounded to pixels as they leave.
        labels: ``int64 [m]``, the classes they were made for.
        accepted: Share of draws of each class that the filter let through.
    """

    images: UInt8[torch.Tensor, "m c h w"]
    labels: Int[torch.Tensor, " m"]
    accepted: tuple[float, ...]


def draw_images(
    make: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    labels: Int[torch.Tensor, " m"],
    teacher: nn.Module,
    *,
    latent: int,
    sigma: float,
    threshold: float,
    classes: int,
    generator: torch.Generator,
) -> Drawn:
    """Draw an image for each label; with a filter, again until the teacher agrees.

    The filter leaves the share of each class as it is: an image is drawn anew for the same label,
    ten times at most; then the draw the teacher was surest of stays.

    Args:
        make: Latent ``[n, z]`` and labels to normalised images.
        labels: What to draw, on the device.
        teacher: Its answers filter.
        latent: Length of the latent.
        sigma: Its standard deviation; above 1 is more varied than in training.
        threshold: -1 takes all; else the teacher's answer is the label, and so sure at least.
        classes: Number of classes.
        generator: Source, on the device.

    Source:
        Lampis, Lomurno and Matteucci 2023, "Bridging the gap: enhancing the utility of synthetic
        data via post-processing techniques" (dynamic sample filtering, expansion trick).
    """
    device = labels.device
    images: torch.Tensor | None = None
    best = torch.full((len(labels),), -math.inf, device=device)
    pending = torch.arange(len(labels), device=device)
    drawn, let_through = (torch.zeros(classes, device=device) for _ in range(2))
    for _ in range(_TRIES if threshold >= 0 else 1):
        wanted = labels[pending]
        noise = sigma * torch.randn(len(pending), latent, generator=generator, device=device)
        levels, sure, agrees = _try(make, noise, wanted, teacher)
        passed = agrees & (sure >= threshold) if threshold >= 0 else torch.ones_like(agrees)
        drawn += torch.bincount(wanted, minlength=classes)
        let_through += torch.bincount(wanted[passed], minlength=classes)
        if images is None:
            images = torch.empty((len(labels), *levels.shape[1:]), dtype=levels.dtype)
            images = images.to(device)
        # What passed counts as better than all that did not.
        value = sure + passed.float() * 2
        better = value > best[pending]
        images[pending[better]], best[pending[better]] = levels[better], value[better]
        pending = pending[~passed]
        if not len(pending):
            break
    if images is None:
        raise DataError("no images are to be drawn", where="synthesis")
    shares = torch.where(drawn > 0, let_through / drawn.clamp_min(1), 1.0)
    return Drawn(images=images, labels=labels, accepted=tuple(map(float, shares)))


@torch.no_grad()
def _try(
    make: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    noise: torch.Tensor,
    labels: torch.Tensor,
    teacher: nn.Module,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels, the teacher's confidence in each label, and whether that is its answer."""
    pixels, sure, agrees = [], [], []
    for some, own in zip(noise.split(_BATCH), labels.split(_BATCH), strict=True):
        levels = to_pixels(make(some, own))
        answers = teacher(normalise(levels)).softmax(dim=1)
        pixels.append(levels)
        sure.append(answers.gather(1, own[:, None])[:, 0])
        agrees.append(answers.argmax(dim=1) == own)
    return torch.cat(pixels), torch.cat(sure), torch.cat(agrees)


def soft_targets(
    logits: Float[torch.Tensor, "n C"], labels: Int[torch.Tensor, " n"], config: GkdConfig
) -> Float[torch.Tensor, "n C"]:
    """What a recipient of images learns from: the teacher's answers, labels, or a mixture."""
    classes = logits.shape[1]
    hard = nn.functional.one_hot(labels, classes).float()
    match config.targets:
        case "hard":
            return hard
        case "tckr":
            return (1 - _SMOOTHED) * logits.softmax(dim=1) + _SMOOTHED / classes
        case "mixture":
            soft = (logits / config.temperature).softmax(dim=1)
            return config.hard_share * hard + (1 - config.hard_share) * soft


def gkd_loss(
    student: Float[torch.Tensor, "n C"],
    teacher: Float[torch.Tensor, "n C"],
    labels: Int[torch.Tensor, " n"],
    config: GkdConfig,
) -> torch.Tensor:
    """Loss of each image, ``[n]``.

    ``tckr``: cross-entropy with the teacher's answers smoothed by 0.1, at temperature 1, the
    label discarded. ``mixture``: h CE(y) + (1 - h) t^2 CE(softmax(teacher / t)) at temperature t.

    Source:
        The public code of Resmini et al. 2025, "Your image generator is your new private dataset"
        (``tckr``); Hinton et al. 2015, "Distilling the knowledge in a neural network" (t^2).
    """
    if config.targets != "mixture":
        return soft_cross_entropy(student, soft_targets(teacher, labels, config))
    heat, share = config.temperature, config.hard_share
    soft = heat**2 * soft_cross_entropy(student / heat, (teacher / heat).softmax(dim=1))
    return (
        share * nn.functional.cross_entropy(student, labels, reduction="none") + (1 - share) * soft
    )


def train_student(
    net: nn.Module,
    draws: Draws,
    teacher: nn.Module,
    recipe: Recipe,
    config: GkdConfig,
    *,
    steps: int | None = None,
    seed: int,
    progress: Progress,
    label: str,
    expected_runs: int = 1,
) -> None:
    """Train a net in place on images that are drawn anew every ``config.regenerate`` epochs.

    The teacher answers for the very view the student sees.

    Args:
        net: The student.
        draws: Gives the images of an epoch.
        teacher: Its answers are the targets.
        recipe: How it learns; an epoch is one pass over a drawn set.
        config: What it learns from.
        steps: Instead of the recipe's epochs or steps.
        seed: Seed of order and views.
        progress: Where to report.
        label: Name of the stage.
        expected_runs: Trainings of this kind that the process is taken to do, this one among them.

    Raises:
        DataError: The loss is not finite.
    """
    data = draws(0)
    device, n = data.images.device, len(data.images)
    batch = min(recipe.batch_size, n)
    per_epoch = math.ceil(n / batch)
    steps = steps or recipe.steps or recipe.epochs * per_epoch
    generator = torch.Generator(device).manual_seed(integer_seed(seed, "views"))
    optimiser = make_optimiser(net.parameters(), recipe)
    net.train()
    teacher.eval()
    fast = forward_of(net, data.images, recipe, steps=steps, expected_runs=expected_runs)
    order: list[torch.Tensor] = []
    with progress.stage(label, steps) as bar:
        for step in range(steps):
            epoch, at = divmod(step, per_epoch)
            if at == 0:
                if epoch and config.regenerate and epoch % config.regenerate == 0:
                    data = draws(epoch)
                shuffled = torch.randperm(n, generator=generator, device=device)
                order = list(shuffled.split(batch))
            rows = order[at]
            for group in optimiser.param_groups:
                group["lr"] = rate_at(recipe, step, steps)
            view = training_view(data.images[rows], recipe, generator)
            with torch.no_grad():
                told = teacher(view)
            # Code is generated for one shape: a last batch of fewer images goes without.
            answers = (fast if len(rows) == batch else net)(view)
            loss = gkd_loss(answers, told, data.labels[rows], config).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            bar.advance()
    if not math.isfinite(float(loss.detach())):
        raise DataError("the loss is not finite", where=label, fix="Lower recipe.lr.")
    net.eval()
