"""What an owner can honestly say: the range of each number it sends, from the job alone.

Whoever is out of range is refused under its own name, before the model or the books see it. In
range a lie stays possible: `docs/routes/federation.md` says what it pays.
"""

from __future__ import annotations

import math

import torch

from sudare.routes.federation.job import Job

# Chance that an honest owner is refused, of each number it sends: about 1e-12.
_TAIL = 7.5
_LARGEST_WEIGHT_FACTOR = 10.0


def largest_update(job: Job, here: torch.Tensor) -> float:
    r"""The largest Euclidean norm of an honest owner's update.

    With DP-SGD a step moves the weights by

    $$ \eta\,\frac{bC + \sigma C\,\lVert z\rVert}{B} $$

    at most, with $b$ records in the batch, $z$ standard normal in $P$ dimensions and $B$ the
    job's expected batch. Signals add up over the steps; noise, being independent, adds up to its
    square root. Without a promise nothing is clipped, and the norm of the weights is the scale.

    Args:
        job: What was agreed on.
        here: The common weights ``[P]`` before the round.
    """
    config, recipe = job.federation, job.federation.recipe
    parameters, steps = len(here), config.local_steps
    drift = 2 * steps * recipe.lr * recipe.weight_decay * float(here.norm())
    if recipe.optimizer != "sgd":
        # Each coordinate moves by about the rate, at most by ten times that in the first steps.
        return 10 * steps * recipe.lr * math.sqrt(parameters) + drift
    if config.privacy is None:
        return _LARGEST_WEIGHT_FACTOR * max(1.0, float(here.norm()))
    mean = job.limit_of_records * config.rate
    batch = min(float(job.limit_of_records), mean + _TAIL * math.sqrt(mean) + _TAIL**2)
    clip = config.privacy.max_grad_norm
    noise = job.noise_multiplier * clip * (math.sqrt(parameters) + _TAIL)
    inertia = 1 / (1 - recipe.momentum)
    moved = steps * batch * clip + math.sqrt(steps) * noise
    return recipe.lr * inertia * moved / config.expected_batch + drift


def wrong_update(job: Job, here: torch.Tensor, sent: torch.Tensor | None) -> str:
    """Why a tensor is no update of an honest owner; empty if it may be one."""
    if sent is None:
        return "sent no update"
    if sent.shape != here.shape or sent.dtype != here.dtype:
        return f"sent an update of shape {tuple(sent.shape)}"
    if not bool(torch.isfinite(sent).all()):
        return "sent an update that is not finite"
    norm, most = float(sent.double().norm()), largest_update(job, here)
    if norm > most:
        return f"sent an update of norm {norm:.3g}; an honest one has at most {most:.3g}"
    return ""


def wrong_scores(job: Job, records: float, score: float) -> str:
    """Why two numbers are not what an honest owner says of its records; empty if they may be."""
    valuation = job.federation.valuation
    spread = _TAIL * valuation.noise if job.federation.privacy is not None else 0.0
    most = job.limit_of_records + spread
    if not 0 <= records <= most:
        return f"says it has {records:.6g} records; the job allows {most:.6g}"
    if not 0 <= score <= valuation.clip:
        return f"says its records score {score:.6g}; scores end at {valuation.clip:g}"
    return ""
