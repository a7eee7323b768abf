"""IDC: gradient matching where one stored image holds several smaller ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sudare.releases.multi_formation import decode
from sudare.routes.distillation.common import Distilled, Learning, refuse_divergence
from sudare.routes.distillation.config import IdcConfig
from sudare.training.dsa import apply, draw, draw_of

_MOST_SYNTHETIC, _NET_BATCH = 128, 64
_LIMIT = 2.0
"""Normalised black and white: pixels are kept between."""


def distil_idc(given: Learning, config: IdcConfig) -> Distilled:
    """For each random net: match each class's gradients, then train the net on real images.

    Source:
        Kim et al. 2022, "Dataset condensation via efficient synthetic-data parameterization",
        algorithm 1. The authors take the first images of each class to start from; here they are
        drawn.
    """
    learned = given.start.images.clone().requires_grad_()
    # The authors' images are in 0 to 1, ours normalised: four times as wide, so the same step in
    # pixels is sixteen times the rate.
    optimiser = torch.optim.SGD(
        [learned], lr=config.lr * (2 * _LIMIT) ** 2, momentum=config.momentum
    )
    by_class, k = given.rows_by_class(), given.images_per_class
    with given.progress.stage("IDC", config.iterations) as bar:
        for iteration in range(config.iterations):
            net = given.random_net(iteration)
            rng = given.generator("iteration", iteration)
            trained = torch.optim.SGD(
                net.parameters(), lr=config.net_lr, momentum=0.9, weight_decay=5e-4
            )
            with torch.no_grad():
                learned.clamp_(-_LIMIT, _LIMIT)
            for _ in range(config.inner):
                for label, rows in enumerate(by_class):
                    own = learned[label * k : (label + 1) * k]
                    loss = _class_loss(net, given, own, rows, label, config, rng)
                    (learned.grad,) = torch.autograd.grad(loss, [learned])
                    optimiser.step()
                _train_net(net, trained, given, config.net_images, rng)
            bar.advance()
    images = learned.detach().clamp(-_LIMIT, _LIMIT)
    refuse_divergence(images, "IDC")
    return Distilled(
        images=images, factor=config.factor, settings={"formations": str(config.factor**2)}
    )


def _class_loss(
    net: nn.Module,
    given: Learning,
    own: torch.Tensor,
    rows: torch.Tensor,
    label: int,
    config: IdcConfig,
    rng: torch.Generator,
) -> torch.Tensor:
    synthetic = decode(own, config.factor)
    some = torch.randperm(len(synthetic), generator=rng, device=rng.device)[:_MOST_SYNTHETIC]
    among = torch.randperm(len(rows), generator=rng, device=rng.device)
    batch = rows[among[: config.batch_real]]
    # Colours and holes always, and one of the others: the authors' way, one draw for both.
    both = torch.cat([given.images[batch], synthetic[some]])
    others = tuple(name for name in given.operations if name in ("crop", "scale", "rotate"))
    changes = [draw_of("color", rng), draw(others, rng), draw_of("cutout", rng)]
    for change in changes:
        both = apply(both, change)
    real, learned = both.split([len(batch), len(some)])
    weights = list(net.parameters())

    def gradients(images: torch.Tensor, *, graph: bool) -> tuple[torch.Tensor, ...]:
        labels = torch.full((len(images),), label, device=images.device)
        loss = nn.functional.cross_entropy(net(images), labels)
        return torch.autograd.grad(loss, weights, create_graph=graph)

    wanted = gradients(real.detach(), graph=False)
    return conv_distance(gradients(learned, graph=True), wanted, config.distance)


def conv_distance(
    found: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor], kind: str
) -> torch.Tensor:
    """Sum of squared or absolute differences over the weights of convolutions only."""
    total = torch.zeros((), device=found[0].device)
    for own, real in zip(found, wanted, strict=True):
        if own.ndim == 4:
            gap = own - real.detach()
            total = total + (gap.abs().sum() if kind == "l1" else (gap**2).sum())
    return total


def _train_net(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    given: Learning,
    count: int,
    rng: torch.Generator,
) -> None:
    """Real images, half of the batches with CutMix."""
    device = given.images.device
    order = torch.randperm(len(given.images), generator=rng, device=device)[:count]
    for rows in order.split(_NET_BATCH):
        view = apply(given.images[rows], draw_of("color", rng, n=len(rows)))
        others = tuple(name for name in given.operations if name not in ("color", "cutout"))
        view = apply(view, draw(others, rng, n=len(rows)))
        mixed, partner, share = cutmix(view, rng)
        logits, labels = net(mixed), given.labels[rows]
        loss = share * nn.functional.cross_entropy(logits, labels)
        loss = loss + (1 - share) * nn.functional.cross_entropy(logits, labels[partner])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()


def cutmix(images: torch.Tensor, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, float]:
    """With a chance of one half, a box of another image; its area uniform in 0 to 1.

    Returns:
        Images, whose box each got, and the share of its own pixels left.

    Source:
        Yun et al. 2019, "CutMix", with Beta(1, 1).
    """
    device, (height, width) = images.device, images.shape[2:]
    partner = torch.randperm(len(images), generator=rng, device=device)
    coin, area, y, x = torch.rand(4, generator=rng, device=device).tolist()
    if coin >= 0.5:
        return images, partner, 1.0
    side = (1 - area) ** 0.5
    top, left = int(y * height - side * height / 2), int(x * width - side * width / 2)
    bottom, right = top + int(side * height), left + int(side * width)
    top, left = max(top, 0), max(left, 0)
    bottom, right = min(bottom, height), min(right, width)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[partner][:, :, top:bottom, left:right]
    return mixed, partner, 1 - max(bottom - top, 0) * max(right - left, 0) / (height * width)
