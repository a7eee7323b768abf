"""The one training loop, for one net or several at once; images live on the device as uint8."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from sudare.core.arrays import ByteArray, Float32Array, IntArray
from sudare.core.errors import ConfigError, DataError
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.nets.normalisation import normalise
from sudare.nets.random_features import RandomFeatures
from sudare.training.adversarial import adversarial_view
from sudare.training.augment import training_view
from sudare.training.balance import balancing
from sudare.training.compiled import Forward, forward_of
from sudare.training.losses import smoothed_cross_entropy, smoothing_at, soft_cross_entropy
from sudare.training.observers import StepObserver, Unobserved
from sudare.training.optimisers import make_optimiser, rate_at
from sudare.training.recipe import Recipe
from sudare.training.replay import Replay

if TYPE_CHECKING:
    from jaxtyping import Float

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Learner:
    """One of several nets that learn at once.

    Attributes:
        net: The net, trained in place.
        data: Images and targets on the device.
        seed: Seed of order and views.
    """

    net: torch.nn.Module
    data: TrainingData
    seed: int


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
    expected_runs: int = 1,
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
        expected_runs: Trainings of this kind that the process is taken to do, this one among
            them; several short ones together may repay compiling.

    Raises:
        DataError: The loss is not finite.
        ConfigError: An observer with canaries, or groups to be balanced where there are none.
    """

    def after(_: int, epoch: int, net: torch.nn.Module) -> None:
        if after_epoch is not None:
            after_epoch(epoch, net)

    return train_lanes(
        [Learner(net=net, data=data, seed=seed)],
        recipe,
        progress=progress,
        label=label,
        observer=observer,
        after_epoch=after,
        expected_runs=expected_runs,
    )[0]


def train_lanes(
    learners: Sequence[Learner],
    recipe: Recipe,
    *,
    progress: Progress,
    label: str = "training",
    observer: StepObserver | None = None,
    after_epoch: Callable[[int, int, torch.nn.Module], None] | None = None,
    expected_runs: int = 1,
) -> list[TrainingRecord]:
    """Train several nets in place, each as ``train`` trains it alone, to the last bit.

    On a GPU all take a step at once (``sudare.training.replay``), which is what small nets need to
    fill it; on a CPU they take turns, and nothing is gained.

    Args:
        learners: The nets, with equally many images each.
        recipe: How all of them learn.
        progress: Where to report.
        label: Name of the stage.
        observer: Watches every step of every net.
        after_epoch: Called with the number of a net, the number of epochs done and the net.
        expected_runs: Trainings of this kind that the process is taken to do, these among them.

    Returns:
        A record for each; seconds are shared among them.

    Raises:
        DataError: A loss is not finite, or the numbers of images differ.
        ConfigError: An observer with canaries, or groups to be balanced where there are none.
    """
    watcher: StepObserver = observer or Unobserved()
    if watcher.canaries:
        raise ConfigError("only DP-SGD trains with gradient canaries", where=label)
    sizes = {len(learner.data) for learner in learners}
    if len(sizes) != 1:
        raise DataError(f"nets that learn at once need equally many images, not {sorted(sizes)}")
    n = sizes.pop()
    batch = min(recipe.batch_size, n)
    per_epoch = math.ceil(n / batch)
    steps = recipe.steps or recipe.epochs * per_epoch
    epochs = math.ceil(steps / per_epoch)
    start_wall, start_cpu = time.perf_counter(), time.process_time()
    lanes = [
        _Lane(learner, recipe, steps=steps, expected_runs=expected_runs) for learner in learners
    ]
    traces = [torch.full((epochs, n), torch.nan, device=lane.device) for lane in lanes]
    at_once = _AtOnce(lanes) if observer is None and _records(lanes, recipe) else None
    with progress.stage(label, steps) as task:
        for epoch in range(epochs):
            for lane in lanes:
                lane.alpha = smoothing_at(
                    recipe.label_smoothing,
                    epoch=epoch,
                    epochs=epochs,
                    schedule=recipe.smoothing_schedule,
                )
            first, todo = epoch * per_epoch, min(per_epoch, steps - epoch * per_epoch)
            orders = torch.stack([lane.shuffled() for lane in lanes])
            for at, rows in enumerate(orders.split(batch, dim=1)[:todo], start=first):
                rate = rate_at(recipe, at, steps)
                if at_once is not None:
                    at_once.step(rows, rate)
                    continue
                for lane, own in zip(lanes, rows, strict=True):
                    lane.set_rate(rate)
                    watcher.sampled(own)
                    lane.step(own)
                    watcher.released(lane.learned)
            task.advance(todo)
            for number, (lane, trace) in enumerate(zip(lanes, traces, strict=True)):
                trace[epoch] = lane.seen
                lane.seen.fill_(torch.nan)
                _refuse_divergence(trace[epoch], label)
                if after_epoch is not None:
                    after_epoch(number, epoch + 1, lane.whole)
    share = 1 / len(lanes)
    wall, cpu = time.perf_counter() - start_wall, time.process_time() - start_cpu
    return [
        TrainingRecord(
            loss_trace=trace.cpu().numpy(), steps=steps, wall_s=wall * share, cpu_s=cpu * share
        )
        for trace in traces
    ]


class _Lane:
    """A net on its way: what its next step needs."""

    def __init__(self, learner: Learner, recipe: Recipe, *, steps: int, expected_runs: int) -> None:
        self.recipe, self.whole, self.device = recipe, learner.net, learner.data.images.device
        self.views = torch.Generator(self.device).manual_seed(integer_seed(learner.seed, "views"))
        self._order = torch.Generator().manual_seed(integer_seed(learner.seed, "order"))
        self.net, self.data = _on_fixed_features(learner.net, learner.data, recipe)
        self.learned = [p for p in self.net.parameters() if p.requires_grad]
        self.optimiser = make_optimiser(self.learned, recipe)
        self.seen = torch.full((len(self.data),), torch.nan, device=self.device)
        self.alpha = 0.0
        weights = balancing(self.data, recipe)
        self._drawn_by = weights if recipe.balance == "sampling" else None
        self._weighed_by = weights if recipe.balance == "loss" else None
        self.net.train()
        self._batch = min(recipe.batch_size, len(self.data))
        self._fast = forward_of(
            self.net,
            self.data.images,
            recipe,
            steps=steps,
            features=self.data.features,
            expected_runs=expected_runs,
        )

    def shuffled(self) -> torch.Tensor:
        """Rows of an epoch."""
        return _order(len(self.data), self._drawn_by, self._order).to(self.device)

    def set_rate(self, rate: float) -> None:
        """Learn at this rate from now on."""
        for group in self.optimiser.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def step(self, rows: torch.Tensor) -> None:
        """Learn from some rows."""
        # Code is generated for one shape: a last batch of fewer images goes without.
        forward = self._fast if len(rows) == self._batch else self.net
        losses = _losses(forward, self.net, self.data, rows, self.recipe, self.alpha, self.views)
        self.optimiser.zero_grad(set_to_none=True)
        weighed = losses if self._weighed_by is None else losses * self._weighed_by[rows]
        weighed.mean().backward()
        self.optimiser.step()
        self.seen[rows] = losses.detach()


class _AtOnce:
    """Steps of all lanes at once, a recording for each size of batch and strength of smoothing."""

    def __init__(self, lanes: Sequence[_Lane]) -> None:
        self._lanes = lanes
        self._streams = [torch.cuda.Stream() for _ in lanes]
        self._recorded: dict[tuple[int, float], tuple[torch.Tensor, Replay]] = {}

    def step(self, rows: torch.Tensor, rate: float) -> None:
        """Every lane learns from its rows, ``[lanes, batch]``."""
        key = (rows.shape[1], self._lanes[0].alpha)
        if key not in self._recorded:
            # A strength that is over does not come back: its recording would only hold memory.
            self._recorded = {k: v for k, v in self._recorded.items() if k[1] == key[1]}
            self._recorded[key] = self._to_record(rows.clone())
        held, replay = self._recorded[key]
        held.copy_(rows)
        for lane in self._lanes:
            lane.set_rate(rate)
        replay()

    def _to_record(self, held: torch.Tensor) -> tuple[torch.Tensor, Replay]:
        steps = [partial(lane.step, own) for lane, own in zip(self._lanes, held, strict=True)]
        return held, Replay(steps, [lane.views for lane in self._lanes], self._streams)


def _records(lanes: Sequence[_Lane], recipe: Recipe) -> bool:
    """Whether steps may be recorded: on a GPU, where the processor decides nothing in a step."""
    on_gpu = all(lane.device.type == "cuda" for lane in lanes)
    return on_gpu and not recipe.adversarial and "dsa" not in recipe.augmentation


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
