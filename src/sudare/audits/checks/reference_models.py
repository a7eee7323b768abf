"""Plain classifiers of images that attackers may use: what checks hold releases against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from sudare.audits.checks.base import Preparation
from sudare.core.seeds import integer_seed
from sudare.data.images import ImageDataset
from sudare.nets import NetConfig
from sudare.nets import build as build_net
from sudare.nets.weights import state_of
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import Recipe


def train_plain(
    parts: Sequence[ImageDataset],
    given: Preparation,
    folder: Path,
    *,
    net: NetConfig,
    recipe: Recipe,
    seeds: Sequence[int],
    expected_runs: int,
) -> None:
    """Train one plain net on each part, into the folder.

    Args:
        parts: What each learns from.
        given: Of the preparation.
        folder: Where their weights go.
        net: Their architecture.
        recipe: How they are trained.
        seeds: One for each.
        expected_runs: How many parts are of one size.
    """
    for index, (part, seed) in enumerate(zip(parts, seeds, strict=True)):
        built = build_net(
            net,
            image_shape=part.image_shape,
            n_classes=len(given.class_names),
            seed=integer_seed(seed, "weights"),
        ).to(given.device)
        train(
            built,
            TrainingData.of(part.images, part.classes, device=given.device),
            recipe,
            seed=integer_seed(seed, "training"),
            progress=given.progress,
            label=f"plain net {index + 1} of {len(parts)}",
            expected_runs=expected_runs,
        )
        save_file(state_of(built), _file(folder, index))


def plain_nets(
    folder: Path, count: int, images: ImageDataset, *, net: NetConfig, device: str
) -> tuple[torch.nn.Module, ...]:
    """The nets that ``train_plain`` left in a folder, in evaluation mode.

    Args:
        folder: Where they lie.
        count: How many there are.
        images: Images of the shape and classes they know.
        net: Their architecture.
        device: Where they will run.
    """
    found = []
    for index in range(count):
        built = build_net(net, image_shape=images.image_shape, n_classes=images.n_classes, seed=0)
        built.load_state_dict(load_file(_file(folder, index)))
        found.append(built.to(device).eval())
    return tuple(found)


def _file(folder: Path, index: int) -> Path:
    return folder / f"plain-{index}.safetensors"
