"""DP-SGD: Opacus' per-sample gradients and optimiser, our own Poisson sampler on the device."""

from __future__ import annotations

import math
import secrets
import time
import warnings

import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer

from sudare.accounting.accountants import calibrate_noise, epsilon_spent
from sudare.accounting.ledger import LedgerEntry
from sudare.core.errors import ConfigError, DataError
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.training.augment import training_view
from sudare.training.loop import TrainingData, TrainingRecord, batch_losses
from sudare.training.observers import StepObserver, Unobserved
from sudare.training.optimisers import make_optimiser, rate_at
from sudare.training.randomness import SystemNoise, system_rows
from sudare.training.recipe import DpConfig, Recipe


def sample_rate(batch_size: int, n: int) -> float:
    """Poisson sampling rate for an expected batch, rounded up to three digits.

    The rounded rate is both used and accounted for; builds whose sizes differ by an image
    then share one calibration.
    """
    if batch_size >= n:
        return 1.0
    scale = 10.0 ** (2 - math.floor(math.log10(batch_size / n)))
    return min(1.0, math.ceil(batch_size / n * scale) / scale)


def poisson_rows(n: int, rate: float, generator: torch.Generator) -> torch.Tensor:
    """Rows of one Poisson batch: each image independently with the given rate; may be empty."""
    draws = torch.rand(n, generator=generator, device=generator.device)
    return torch.nonzero(draws < rate).squeeze(1)


def _refuse(recipe: Recipe) -> None:
    """Refuse what DP-SGD does not do.

    Raises:
        ConfigError: Arithmetic other than float32, adversarial training, balancing.
    """
    if recipe.precision != "float32":
        raise ConfigError("DP-SGD runs in float32", where="recipe.precision")
    if recipe.adversarial or recipe.balance != "none":
        raise ConfigError(
            "DP-SGD takes no adversarial training and no balancing: both look at private images "
            "in a way the ledger does not pay for",
            where="recipe",
        )


def train_private(
    net: torch.nn.Module,
    data: TrainingData,
    recipe: Recipe,
    privacy: DpConfig,
    *,
    seed: int | None,
    progress: Progress,
    label: str = "training with DP-SGD",
    observer: StepObserver | None = None,
    rate: float | None = None,
    expected_batch: float | None = None,
) -> tuple[TrainingRecord, LedgerEntry]:
    """Train a net in place with DP-SGD and say what it cost.

    Args:
        net: A net without batch norm.
        data: Images and labels on the device.
        recipe: Its ``batch_size`` is the expected batch; momentum, schedule and weight decay
            act on the noised gradient, which is post-processing.
        privacy: Epsilon or noise, delta, clipping norm.
        seed: Seed of sampling, views and noise for builds that are audited; None for what
            leaves the premises: sampling and noise are then the operating system's.
        progress: Where to report.
        label: Name of the stage.
        observer: Watches every step, and may take part with canaries; audits only.
        rate: Chance of each image to be in a batch, instead of what the recipe's batch asks for.
        expected_batch: What the noised sum of gradients is divided by, where the number of images
            is nobody's business; else ``rate * n``, which the size of the noise then tells.

    Returns:
        The record, and the entry for the ledger.

    Raises:
        ConfigError: Arithmetic other than float32, or an unsupported layer.
    """
    _refuse(recipe)
    n, device = len(data), data.images.device
    watcher: StepObserver = observer or Unobserved()
    rate = rate or sample_rate(recipe.batch_size, n)
    epochs = recipe.epochs
    steps = recipe.steps or math.ceil(epochs / rate)
    sigma = privacy.noise_multiplier or calibrate_noise(
        privacy.target_epsilon or 0.0, sample_rate=rate, steps=steps, delta=privacy.delta
    )
    entry = LedgerEntry(
        purpose="training",
        mechanism="Poisson-subsampled Gaussian",
        noise_multiplier=sigma,
        sample_rate=rate,
        steps=steps,
        delta=privacy.delta,
        epsilon=epsilon_spent(sigma, sample_rate=rate, steps=steps, delta=privacy.delta),
    )
    root = secrets.randbits(63) if seed is None else seed
    sampler, views, noise = (
        torch.Generator(device).manual_seed(integer_seed(root, part))
        for part in ("sampling", "views", "noise")
    )
    with warnings.catch_warnings():
        # The hooks warn that inputs need no gradient; they never do here.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        private = GradSampleModule(net, loss_reduction="sum")
    optimiser = _optimiser(
        private,
        recipe,
        privacy,
        sigma,
        expected_batch or rate * n,
        None if seed is None else noise,
    )
    per_epoch = math.ceil(1 / rate)
    trace = torch.full((math.ceil(steps / per_epoch), n), torch.nan, device=device)
    start_wall, start_cpu = time.perf_counter(), time.process_time()
    parameters = list(private.parameters())
    private.train()
    with progress.stage(label, steps) as task:
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = rate_at(recipe, step, steps)
            drawn = _rows(n + watcher.canaries, rate, None if seed is None else sampler, device)
            watcher.sampled(drawn)
            rows = drawn[drawn < n]
            chunks = list(rows.split(privacy.physical_batch))
            for index, chunk in enumerate(chunks):
                view = training_view(data.images[chunk], recipe, views)
                losses = batch_losses(private(view), data.targets[chunk], recipe.label_smoothing)
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message="Full backward hook is firing")
                    losses.sum().backward()
                trace[step // per_epoch, chunk] = losses.detach()
                optimiser.signal_skip_step(do_skip=index < len(chunks) - 1)
                if index < len(chunks) - 1:
                    optimiser.step()
                    optimiser.zero_grad()
            if not len(rows):
                _empty_batch(private)
            watcher.inject(parameters, drawn[drawn >= n] - n)
            optimiser.step()
            watcher.released(parameters)
            optimiser.zero_grad()
            task.advance()
    private.remove_hooks()
    if not all(bool(parameter.isfinite().all()) for parameter in net.parameters()):
        raise DataError("the training diverged", where=label, fix="Lower recipe.lr.")
    for parameter in net.parameters():
        for attribute in ("grad_sample", "summed_grad"):
            if hasattr(parameter, attribute):
                delattr(parameter, attribute)
    record = TrainingRecord(
        loss_trace=trace.cpu().numpy(),
        steps=steps,
        wall_s=time.perf_counter() - start_wall,
        cpu_s=time.process_time() - start_cpu,
    )
    return record, entry


def _optimiser(
    private: GradSampleModule,
    recipe: Recipe,
    privacy: DpConfig,
    sigma: float,
    expected_batch: float,
    generator: torch.Generator | None,
) -> DPOptimizer:
    """Clipping and noise around the recipe's optimiser; no generator: the system's noise."""
    optimiser = DPOptimizer(
        make_optimiser(private.parameters(), recipe, fused=False),
        noise_multiplier=0.0 if generator is None else sigma,
        max_grad_norm=privacy.max_grad_norm,
        expected_batch_size=max(1, round(expected_batch)),
        loss_reduction="mean",
        generator=generator,
    )
    if generator is None:
        optimiser.attach_step_hook(SystemNoise(sigma * privacy.max_grad_norm))
    return optimiser


def _rows(
    n: int, rate: float, generator: torch.Generator | None, device: torch.device
) -> torch.Tensor:
    """One Poisson batch, from the operating system where there is no generator."""
    if generator is None:
        return system_rows(n, rate, device)
    return poisson_rows(n, rate, generator)


def _empty_batch(net: torch.nn.Module) -> None:
    """No image was drawn: the step still happens and adds noise alone."""
    for parameter in net.parameters():
        empty = torch.zeros((0, *parameter.shape), device=parameter.device, dtype=parameter.dtype)
        vars(parameter)["grad_sample"] = empty
