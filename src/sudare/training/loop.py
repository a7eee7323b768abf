"""The one training loop: images live on the device as uint8, augmentation is tensor code."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from sudare.core.arrays import ByteArray, Float32Array, IntArray
from sudare.core.errors import ConfigError, DataError
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.nets.predict import normalise
from sudare.nets.random_features import RandomFeatures
from sudare.training.adversarial import adversarial_view
from sudare.training.augment import training_view
from sudare.training.compiled import Forward, forward_of
from sudare.training.losses import smoothed_cross_entropy, smoothing_at, soft_cross_entropy
from sudare.training.observers import StepObserver, Unobserved
from sudare.training.optimisers import make_optimiser, rate_at
from sudare.training.recipe import Recipe

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["TrainingData", "TrainingRecord", "batch_losses", "class_weights", "train"]

_FEATURE_BATCH = 512


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """What a net learns from, on the device.

    Attributes:
        images: ``[n, c, h, w]`` in grey levels 0 to 255, ``uint8`` or ``float32``; features
            ``float32 [n, d]`` where those are learned from.
        targets: ``int64 [n]`` labels, or ``float32 [n, C]`` soft labels.
        features: Whether the images are features, of which there are no views.
        groups: ``int64 [n]`` where the collection has groups that may be balanced.
    """

    images: torch.Tensor
    targets: torch.Tensor
    features: bool = False
    groups: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        images: ByteArray | Float32Array,
        targets: IntArray | Float32Array,
        *,
        device: str,
        groups: IntArray | None = None,
    ) -> TrainingData:
        """Copy arrays to the device, once.

        Raises:
            DataError: No images.
        """
        if not len(images):
            raise DataError("there are no images to learn from")
        return cls(
            images=torch.from_numpy(np.array(images)).to(device),
            targets=torch.from_numpy(np.array(targets)).to(device),
            groups=None if groups is None else torch.from_numpy(np.array(groups)).to(device),
        )

    def __len__(self) -> int:
        """Number of images."""
        return int(self.images.shape[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRecord:
    """What happened while a net learned. Private: it stays with the owner.

    Attributes:
        loss_trace: ``float32 [epochs, n]``, loss of each image's training view in each
            epoch; NaN where it was not drawn.
        steps: Optimiser steps taken.
        wall_s: Seconds on the clock.
        cpu_s: Processor seconds of this process.
    """

    loss_trace: Float[Float32Array, "epochs n"]
    steps: int
    wall_s: float
    cpu_s: float


def train(
    net: torch.nn.Module,
    data: TrainingData,
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
    label: str = "training",
    observer: StepObserver | None = None,
    after_epoch: Callable[[int, torch.nn.Module], None] | None = None,
    alike: int = 1,
) -> TrainingRecord:
    """Train a net in place, deterministically from the seed.

    Args:
        net: The net.
        data: Images and targets on the device.
        recipe: How it learns.
        seed: Seed of order and views.
        progress: Where to report.
        label: Name of the stage.
        observer: Watches every step; it may not take part with canaries, which only DP-SGD
            clips.
        after_epoch: Called with the number of epochs done and the net, to keep checkpoints; it
            must not change the net.
        alike: Trainings of this kind that the process is taken to do, this one among them; several
            short ones together may repay compiling.

    Raises:
        DataError: The loss is not finite.
        ConfigError: An observer with canaries, or groups to be balanced where there are none.
    """
    watcher: StepObserver = observer or Unobserved()
    if watcher.canaries:
        raise ConfigError("only DP-SGD trains with gradient canaries", where=label)
    device = data.images.device
    generator = torch.Generator(device).manual_seed(integer_seed(seed, "views"))
    order = torch.Generator().manual_seed(integer_seed(seed, "order"))
    n, batch = len(data), min(recipe.batch_size, len(data))
    per_epoch = math.ceil(n / batch)
    steps = recipe.steps or recipe.epochs * per_epoch
    epochs = math.ceil(steps / per_epoch)
    start_wall, start_cpu = time.perf_counter(), time.process_time()
    whole = net
    net, data = _on_fixed_features(net, data, recipe)
    optimiser = make_optimiser([p for p in net.parameters() if p.requires_grad], recipe)
    trace = torch.full((epochs, n), torch.nan, device=device)
    weights = balancing(data, recipe)
    drawn_by = weights if recipe.balance == "sampling" else None
    weighed_by = weights if recipe.balance == "loss" else None
    net.train()
    fast = forward_of(net, data.images, recipe, steps=steps, features=data.features, alike=alike)
    with progress.stage(label, steps) as task:
        for epoch in range(epochs):
            alpha = smoothing_at(
                recipe.label_smoothing,
                epoch=epoch,
                epochs=epochs,
                schedule=recipe.smoothing_schedule,
            )
            shuffled = _order(n, drawn_by, order).to(device)
            batches = shuffled.split(batch)[: steps - epoch * per_epoch]
            for at, rows in enumerate(batches, start=epoch * per_epoch):
                for group in optimiser.param_groups:
                    group["lr"] = rate_at(recipe, at, steps)
                watcher.sampled(rows)
                # Code is generated for one shape: a last batch of fewer images goes without.
                forward = fast if len(rows) == batch else net
                losses = _losses(forward, net, data, rows, recipe, alpha, generator)
                optimiser.zero_grad(set_to_none=True)
                (losses if weighed_by is None else losses * weighed_by[rows]).mean().backward()
                optimiser.step()
                watcher.released([p for p in net.parameters() if p.requires_grad])
                trace[epoch, rows] = losses.detach()
            task.advance(len(batches))
            _refuse_divergence(trace[epoch], label)
            if after_epoch is not None:
                after_epoch(epoch + 1, whole)
    return TrainingRecord(
        loss_trace=trace.cpu().numpy(),
        steps=steps,
        wall_s=time.perf_counter() - start_wall,
        cpu_s=time.process_time() - start_cpu,
    )


def _on_fixed_features(
    net: torch.nn.Module, data: TrainingData, recipe: Recipe
) -> tuple[torch.nn.Module, TrainingData]:
    """The head and the features it learns from, if nothing below it is learned or varied.

    Computing features that never change anew in each of forty epochs is most of the time.
    """
    if not isinstance(net, RandomFeatures) or recipe.augmentation or recipe.precision == "bf16":
        return net, data
    with torch.inference_mode():
        parts = [net.embed(normalise(part)) for part in data.images.split(_FEATURE_BATCH)]
    # A copy outside of inference mode, so that the head's gradients may use it.
    features = torch.cat(parts).clone()
    return net.classifier, replace(data, images=features, features=True)


def balancing(data: TrainingData, recipe: Recipe) -> torch.Tensor | None:
    """The weight of each image as a recipe balances, or None where it does not.

    Raises:
        ConfigError: Groups are to be balanced and the images have none.
    """
    if recipe.balance == "none":
        return None
    if recipe.balance_by == "group" and data.groups is None:
        raise ConfigError(
            "the collection has no groups that could be balanced",
            where="recipe.balance_by",
            fix='Give it a column of groups, or balance_by = "class".',
        )
    return class_weights(data.targets, data.groups if recipe.balance_by == "group" else None)


def class_weights(targets: torch.Tensor, groups: torch.Tensor | None = None) -> torch.Tensor:
    """A weight for each image, ``float32 [n]`` with mean one, so that classes count equally.

    Args:
        targets: Labels or soft labels.
        groups: Then each group within each class counts equally.
    """
    cells = targets if targets.ndim == 1 else targets.argmax(dim=1)
    if groups is not None:
        pairs = torch.stack([cells, groups], dim=1)
        cells = torch.unique(pairs, dim=0, return_inverse=True)[1]
    counts = torch.bincount(cells)
    present = int((counts > 0).sum())
    return len(cells) / (present * counts[cells].float())


def _order(n: int, weights: torch.Tensor | None, order: torch.Generator) -> torch.Tensor:
    """Rows of an epoch: each once, or as many drawn by weight."""
    if weights is None:
        return torch.randperm(n, generator=order)
    return torch.multinomial(weights.cpu(), n, replacement=True, generator=order)


def _losses(
    forward: Forward,
    net: torch.nn.Module,
    data: TrainingData,
    rows: torch.Tensor,
    recipe: Recipe,
    alpha: float,
    generator: torch.Generator,
) -> torch.Tensor:
    images = data.images[rows]
    view = images if data.features else training_view(images, recipe, generator)
    if recipe.adversarial and not data.features:
        view = adversarial_view(
            lambda moved: batch_losses(net(moved).float(), data.targets[rows], 0.0),
            view,
            epsilon=recipe.adversarial,
            steps=recipe.adversarial_steps,
            generator=generator,
        )
    kind = data.images.device.type
    with torch.autocast(kind, dtype=torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits = forward(view)
    return batch_losses(logits.float(), data.targets[rows], alpha)


def batch_losses(logits: torch.Tensor, targets: torch.Tensor, alpha: float) -> torch.Tensor:
    """Loss of each image against labels or soft labels, ``[n]``."""
    if targets.ndim == 1:
        return smoothed_cross_entropy(logits, targets, alpha=alpha)
    return soft_cross_entropy(logits, targets)


def _refuse_divergence(losses: torch.Tensor, label: str) -> None:
    if bool(torch.isinf(losses).any()) or bool(torch.isnan(losses).all()):
        raise DataError(
            "the loss is not finite", where=label, fix="Lower recipe.lr, or clip the labels."
        )
