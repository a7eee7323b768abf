"""What every tool gets: the same images, net, recipe and clock."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

__all__ = ["NET", "Clock", "Task", "finish", "images_of", "make_net", "stand_in"]

NET = {"name": "convnet", "width": 16}


@dataclass(frozen=True)
class Task:
    """The work: sizes and recipe.

    Attributes:
        pool: Images whose membership is in question; half of them train each build.
        population: Images in no build.
        builds: Shadow models.
        epochs: Passes over the training images.
        batch: Images a step.
        lr: Learning rate of SGD with momentum 0.9, constant where a tool allows it.
    """

    pool: int = 4000
    population: int = 1000
    builds: int = 16
    epochs: int = 10
    batch: int = 64
    lr: float = 0.02


def images_of(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Fashion-MNIST: pool, then population; ``uint8 [n, 1, 28, 28]`` and labels."""
    from sudare.data.sources import load_source

    source = load_source("fashion-mnist").train
    rows = np.random.default_rng(0).permutation(len(source))[: task.pool + task.population]
    return np.ascontiguousarray(source.images[rows]), source.classes[rows]


def make_net() -> torch.nn.Module:
    """The net every tool trains, of torch's own layers; weights from torch's own generator."""
    from sudare import nets

    seed = int(torch.randint(2**31, (1,)))
    net = nets.build(nets.NetConfig(**NET), image_shape=(1, 28, 28), n_classes=10, seed=seed)
    return of_torch(net)


def of_torch(net: torch.nn.Module) -> torch.nn.Module:
    """Our ConvNet with torch's pooling, as its authors wrote it; ours is a faster one."""
    from sudare.nets.convnet import MeanPool2

    layers = net.get_submodule("features")
    for name, layer in layers.named_children():
        if isinstance(layer, MeanPool2):
            setattr(layers, name, torch.nn.AvgPool2d(2))
    return net


def normalised(images: np.ndarray) -> torch.Tensor:
    """Pixels as our trainer gives them to the net."""
    from sudare.nets.normalisation import normalise

    return normalise(torch.from_numpy(images))


class Clock:
    """Named wall times of one process."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}

    def time(self, name: str, work: Callable[[], object]) -> object:
        """Do the work and note how long it took."""
        start = time.perf_counter()
        result = work()
        self.times[name] = time.perf_counter() - start
        return result


def finish(folder: Path, clock: Clock, task: Task, **facts: object) -> None:
    """Write what one tool's process measured; whoever started it adds the memory."""
    text = json.dumps({**clock.times, "task": asdict(task), **facts})
    (folder / "result.json").write_text(text)


class _Anything:
    """Stands for any class or function of a module that is not there."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Take whatever a module passes while it is imported."""

    def __call__(self, *args: object, **kwargs: object) -> None:
        """Do nothing."""


class _Empty(ModuleType):
    """A module that has every name."""

    __path__ = ()

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Anything,), {})


def stand_in(*names: str) -> None:
    """Empty modules for what a tool imports and this comparison never calls."""
    for name in names:
        sys.modules[name] = _Empty(name)


def auc_of(scores: np.ndarray, members: np.ndarray) -> float:
    """AUC by ours, so that no tool's own metric enters."""
    from sudare.metrics import auc

    return float(auc(np.asarray(scores, dtype=np.float64).ravel(), members.astype(bool).ravel()))
