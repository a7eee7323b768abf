"""MTT: learned images that lead a student where experts went on the private images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from sudare.core.errors import ConfigError, DataError
from sudare.core.hashing import Json
from sudare.core.seeds import integer_seed
from sudare.routes.distillation.common import Distilled, Learning, refuse_divergence
from sudare.routes.distillation.config import MttConfig
from sudare.training.dsa import apply, draw

_EXPERT_BATCH = 256
_CLIP = 1.0
_LR_RANGE = (1e-5, 1.0)


class FlatNet:
    """A net as a function of one vector of weights.

    Args:
        net: The net; its own weights are not used.
    """

    def __init__(self, net: nn.Module) -> None:
        self._net = net
        self._shapes = [(name, value.shape) for name, value in net.named_parameters()]
        self._sizes = [math.prod(shape) for _, shape in self._shapes]

    def __call__(self, weights: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Logits under the weights ``[P]``."""
        parts = weights.split(self._sizes)
        named = {
            name: part.reshape(shape)
            for (name, shape), part in zip(self._shapes, parts, strict=True)
        }
        logits: torch.Tensor = functional_call(self._net, named, (images,))
        return logits


def distil_mtt(given: Learning, config: MttConfig) -> Distilled:
    """Each step: start where an expert was, train on the learned images, end where it was later.

    The student's learning rate is learned too, by its logarithm, so that it stays positive.

    Source:
        Cazenavette et al. 2022, "Dataset distillation by matching training trajectories",
        algorithm 1.

    Raises:
        ConfigError: Experts are trained for too short.
        DataError: The images diverged.
    """
    if config.span >= config.expert_epochs:
        raise ConfigError(
            f"experts of {config.expert_epochs} epochs have no {config.span} to be matched",
            where="method.expert_epochs",
        )
    paths = [_expert(given, config, index) for index in range(config.experts)]
    flat = FlatNet(given.random_net("student"))
    learned = given.start.images.clone()
    labels = given.synthetic_labels(given.images_per_class)
    log_lr, velocity = math.log(config.student_lr), torch.zeros_like(learned)
    latest = min(config.latest_start, config.expert_epochs - config.span + 1)
    with given.progress.stage("MTT", config.iterations) as bar:
        for step in range(config.iterations):
            rng = given.generator("step", step)
            device = learned.device
            path = paths[int(torch.randint(len(paths), (1,), generator=rng, device=device))]
            at = int(torch.randint(latest, (1,), generator=rng, device=device))
            ends = torch.from_numpy(np.load(path)[[at, at + config.span]]).to(device)
            changes = [
                draw(given.operations, rng, n=len(learned)) for _ in range(config.inner_steps)
            ]
            views = [partial(apply, change=change) for change in changes]
            loss, by_image, by_lr = trajectory_gradients(
                flat, learned, labels, views, start=ends[0], target=ends[1], lr=math.exp(log_lr)
            )
            if not math.isfinite(loss):
                raise DataError("the student diverged", where="MTT", fix="Lower method.lr.")
            velocity = config.momentum * velocity + by_image
            learned = learned - config.lr * velocity
            slope = max(-_CLIP, min(_CLIP, by_lr * math.exp(log_lr)))
            low, high = (math.log(end) for end in _LR_RANGE)
            log_lr = min(max(log_lr - config.student_lr_lr * slope, low), high)
            bar.advance()
    refuse_divergence(learned, "MTT")
    rate = math.exp(log_lr)
    return Distilled(images=learned, recipe={"lr": rate}, settings={"learned_lr": f"{rate:.4g}"})


def trajectory_gradients(
    flat: FlatNet,
    images: torch.Tensor,
    labels: torch.Tensor,
    views: Sequence[Callable[[torch.Tensor], torch.Tensor]],
    *,
    start: torch.Tensor,
    target: torch.Tensor,
    lr: float,
) -> tuple[float, torch.Tensor, float]:
    """The matching loss and its exact gradients, in memory that does not grow with the steps.

    Forward, only the weights after each step are kept. Backward, each step is done again with a
    graph of its own: with l the gradient at the weights after a step, that before it is
    l + d<g, -lr l>/dw, and the images get d<g, -lr l>/dS.

    Args:
        flat: The student.
        images: Learned images ``[m, c, h, w]``.
        labels: Their classes.
        views: One change of the images for each step.
        start: Weights ``[P]`` to start from.
        target: Weights ``[P]`` to arrive at.
        lr: The student's learning rate.

    Returns:
        The loss, its gradient by images, and by the learning rate.
    """
    weights = [start.detach()]
    for view in views:
        weights.append(weights[-1] - lr * _gradient(flat, weights[-1], view(images), labels))
    scale = ((start - target) ** 2).sum()
    miss = weights[-1] - target
    loss = float((miss**2).sum() / scale)
    adjoint = 2 * miss / scale
    by_image, by_lr = torch.zeros_like(images), 0.0
    for at, view in zip(reversed(weights[:-1]), reversed(views), strict=True):
        here, pixels = at.detach().requires_grad_(), images.detach().requires_grad_()
        gradient = _gradient(flat, here, view(pixels), labels, graph=True)
        by_lr -= float((gradient.detach() * adjoint).sum())
        pulled = torch.autograd.grad((gradient * (-lr * adjoint)).sum(), [here, pixels])
        adjoint = adjoint + pulled[0]
        by_image = by_image + pulled[1]
    return loss, by_image, by_lr


def _gradient(
    flat: FlatNet,
    weights: torch.Tensor,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    graph: bool = False,
) -> torch.Tensor:
    if not graph:
        weights = weights.detach().requires_grad_()
    loss = nn.functional.cross_entropy(flat(weights, images), labels)
    (gradient,) = torch.autograd.grad(loss, [weights], create_graph=graph)
    return gradient


def _expert(given: Learning, config: MttConfig, index: int) -> Path:
    """The weights of one expert at the start and after each epoch, ``float32 [E + 1, P]``."""

    def make(folder: Path) -> None:
        net = given.random_net("expert", index)
        optimiser = torch.optim.SGD(net.parameters(), lr=config.expert_lr)
        rng = given.generator("expert", index)
        path = [_vector(net)]
        with given.progress.stage(f"expert {index + 1}", config.expert_epochs) as bar:
            for _ in range(config.expert_epochs):
                order = torch.randperm(len(given.images), generator=rng, device=rng.device)
                for rows in order.split(_EXPERT_BATCH):
                    view = apply(given.images[rows], draw(given.operations, rng, n=len(rows)))
                    loss = nn.functional.cross_entropy(net(view), given.labels[rows])
                    optimiser.zero_grad(set_to_none=True)
                    loss.backward()
                    optimiser.step()
                path.append(_vector(net))
                bar.advance()
        np.save(folder / "path.npy", np.stack(path))

    key: dict[str, Json] = {
        "index": index,
        "epochs": config.expert_epochs,
        "lr": config.expert_lr,
        "net": given.net.model_dump(mode="json"),
        "operations": list(given.operations),
        "seed": integer_seed(given.seed, "experts"),
    }
    return given.stages.get("expert", key, make) / "path.npy"


def _vector(net: nn.Module) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A copy of all weights: on a CPU ``detach().numpy()`` alone would go on changing."""
    parts = [value.detach().reshape(-1) for value in net.parameters()]
    return torch.cat(parts).cpu().numpy().copy()
