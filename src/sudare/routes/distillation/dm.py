"""DM: learned images whose mean features in random nets are those of the class."""

from __future__ import annotations

import torch

from sudare.nets.convnet import ConvNet
from sudare.routes.distillation.common import Distilled, Learning, refuse_divergence
from sudare.routes.distillation.config import DmConfig
from sudare.training.dsa import apply, draw


def distil_dm(given: Learning, config: DmConfig) -> Distilled:
    """Each step: a new random net, and for each class the distance of two feature means.

    Source:
        Zhao and Bilen 2023, "Dataset condensation with distribution matching", equation 6.
    """
    learned = given.start.images.clone().requires_grad_()
    optimiser = torch.optim.SGD([learned], lr=config.lr, momentum=config.momentum)
    by_class, k = given.rows_by_class(), given.images_per_class
    with given.progress.stage("DM", config.iterations) as bar:
        for step in range(config.iterations):
            net = given.random_net(step).requires_grad_(False)
            rng = given.generator("step", step)
            real, synthetic, sizes = [], [], []
            for label, rows in enumerate(by_class):
                among = torch.randperm(len(rows), generator=rng, device=rows.device)
                batch = rows[among[: config.batch_real]]
                change = draw(given.operations, rng)
                real.append(apply(given.images[batch], change))
                synthetic.append(apply(learned[label * k : (label + 1) * k], change))
                sizes.append(len(batch))
            # No image sees another in these nets: all classes go through at once.
            loss = mean_distance(net, torch.cat(real), sizes, torch.cat(synthetic), k)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            bar.advance()
    images = learned.detach()
    refuse_divergence(images, "DM")
    return Distilled(images=images)


def mean_distance(
    net: torch.nn.Module,
    real: torch.Tensor,
    sizes: list[int],
    synthetic: torch.Tensor,
    per_class: int,
) -> torch.Tensor:
    """Sum over classes of ||mean features of real - mean features of synthetic||^2.

    Args:
        net: Gives features by ``embed``.
        real: Real images, class by class.
        sizes: How many of each class.
        synthetic: Learned images, class by class.
        per_class: How many of each class.
    """
    if not isinstance(net, ConvNet):
        raise TypeError("distribution matching needs a net with an embedding")
    with torch.no_grad():
        means = torch.stack([part.mean(dim=0) for part in net.embed(real).split(sizes)])
    own = net.embed(synthetic).unflatten(0, (len(sizes), per_class)).mean(dim=1)
    distance: torch.Tensor = ((means - own) ** 2).sum()
    return distance
