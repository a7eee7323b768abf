"""DSA: learned images whose gradients are those of real ones under the same augmentation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sudare.routes.distillation.common import Distilled, Learning, refuse_divergence
from sudare.routes.distillation.config import DsaConfig
from sudare.training.dsa import apply, draw

_LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}
_NET_BATCH = 256


def published_loops(images_per_class: int) -> tuple[int, int]:
    """Matching steps a net, and epochs between them, of the nearest size with published ones."""
    return _LOOPS[min(_LOOPS, key=lambda size: abs(size - images_per_class))]


def distil_dsa(given: Learning, config: DsaConfig) -> Distilled:
    """For each random net: match gradients, train the net on the images, match again.

    Source:
        Zhao and Bilen 2021, "Dataset condensation with differentiable siamese augmentation",
        algorithm 1; distance of Zhao, Mopuri and Bilen 2021.
    """
    outer, inner = published_loops(given.images_per_class)
    outer, inner = config.outer or outer, inner if config.inner is None else config.inner
    learned = given.start.images.clone().requires_grad_()
    optimiser = torch.optim.SGD([learned], lr=config.lr, momentum=config.momentum)
    with given.progress.stage("DSA", config.iterations) as bar:
        for iteration in range(config.iterations):
            net = given.random_net(iteration)
            rng = given.generator("iteration", iteration)
            for step in range(outer):
                loss = _matching_loss(net, given, learned, config, rng)
                optimiser.zero_grad(set_to_none=True)
                (loss_gradient,) = torch.autograd.grad(loss, [learned])
                learned.grad = loss_gradient
                optimiser.step()
                if step < outer - 1:
                    _train_net(net, given, learned.detach(), config, inner, rng)
            bar.advance()
    images = learned.detach()
    refuse_divergence(images, "DSA")
    return Distilled(images=images)


def _matching_loss(
    net: nn.Module,
    given: Learning,
    learned: torch.Tensor,
    config: DsaConfig,
    rng: torch.Generator,
) -> torch.Tensor:
    parameters, k = list(net.parameters()), given.images_per_class
    total = torch.zeros((), device=learned.device)
    for label, rows in enumerate(given.rows_by_class()):
        among = torch.randperm(len(rows), generator=rng, device=rows.device)
        batch = rows[among[: config.batch_real]]
        change = draw(given.operations, rng)
        real = nn.functional.cross_entropy(
            net(apply(given.images[batch], change)), given.labels[batch]
        )
        wanted = torch.autograd.grad(real, parameters)
        own = learned[label * k : (label + 1) * k]
        labels = torch.full((k,), label, device=learned.device)
        synthetic = nn.functional.cross_entropy(net(apply(own, change)), labels)
        found = torch.autograd.grad(synthetic, parameters, create_graph=True)
        total = total + gradient_distance(found, wanted)
    return total


def gradient_distance(
    found: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Sum over output units of 1 - cosine; biases and norms do not count."""
    total = torch.zeros((), device=found[0].device)
    for own, real in zip(found, wanted, strict=True):
        if own.ndim < 2:
            continue
        a, b = own.flatten(1), real.detach().flatten(1)
        cosine = (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-6)
        total = total + (1 - cosine).sum()
    return total


def _train_net(
    net: nn.Module,
    given: Learning,
    images: torch.Tensor,
    config: DsaConfig,
    epochs: int,
    rng: torch.Generator,
) -> None:
    """Plain SGD on the learned images, each under a change of its own."""
    labels = given.synthetic_labels(given.images_per_class)
    optimiser = torch.optim.SGD(net.parameters(), lr=config.net_lr)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=rng, device=images.device)
        for rows in order.split(_NET_BATCH):
            view = apply(images[rows], draw(given.operations, rng, n=len(rows)))
            loss = nn.functional.cross_entropy(net(view), labels[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
