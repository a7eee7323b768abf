"""Optimiser and learning-rate schedule of a recipe."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from sudare.training.recipe import Recipe


def make_optimiser(
    parameters: Iterable[torch.nn.Parameter], recipe: Recipe, *, fused: bool = True
) -> torch.optim.Optimizer:
    """The recipe's optimiser; fused, one kernel updates all weights.

    On a GPU the learning rate is a tensor there, so that a recorded step reads what it is now.
    """
    learned = list(parameters)
    on_gpu = fused and bool(learned) and all(p.is_cuda for p in learned)
    rate = torch.tensor(recipe.lr, device=learned[0].device) if on_gpu else recipe.lr
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(
                learned,
                lr=rate,
                momentum=recipe.momentum,
                weight_decay=recipe.weight_decay,
                fused=fused or None,
            )
        case "adam":
            return torch.optim.Adam(
                learned,
                lr=rate,
                weight_decay=recipe.weight_decay,
                fused=fused or None,
                capturable=on_gpu,
            )
        case "adamw":
            return torch.optim.AdamW(
                learned,
                lr=rate,
                weight_decay=recipe.weight_decay,
                fused=fused or None,
                capturable=on_gpu,
            )


def rate_at(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of a step (counted from 0).

    ``cosine`` falls to zero after the warm-up; ``onecycle`` rises and falls linearly with its
    peak at a fifth of the steps; ``multistep`` divides by ten at 3/4 and 9/10.
    """
    share = step / steps
    if recipe.schedule == "onecycle":
        peak = 0.2
        return recipe.lr * (share / peak if share < peak else (1 - share) / (1 - peak))
    if share < recipe.warmup:
        return recipe.lr * (step + 1) / (math.ceil(recipe.warmup * steps))
    match recipe.schedule:
        case "cosine":
            rest = (share - recipe.warmup) / (1 - recipe.warmup)
            return recipe.lr * (1 + math.cos(math.pi * rest)) / 2
        case "multistep":
            return recipe.lr * 0.1 ** sum(share >= milestone for milestone in (0.75, 0.9))
        case _:
            return recipe.lr
