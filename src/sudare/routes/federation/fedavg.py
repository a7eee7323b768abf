"""Federated averaging in one process: each owner takes noised steps, the server averages."""

from __future__ import annotations

import copy
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from sudare.accounting.accountants import calibrate_noise
from sudare.core.errors import DataError
from sudare.core.progress import Progress, Silent
from sudare.core.seeds import integer_seed
from sudare.training.dpsgd import train_private
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import DpConfig, Recipe

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["Owner", "Trained", "federate", "model_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Owner:
    """One owner and how it trains.

    Attributes:
        data: Its own images, on the device.
        rate: Chance of each image to be in a step's batch.
        noise_multiplier: Noise over clipping norm; 0 where nothing is promised.
    """

    data: TrainingData
    rate: float
    noise_multiplier: float

    @classmethod
    def of(cls, data: TrainingData, privacy: DpConfig | None, *, rate: float, steps: int) -> Owner:
        """Calibrated for all steps of all rounds.

        Args:
            data: Its images.
            privacy: Epsilon or noise; None for no promise.
            rate: Chance of each image to be in a step's batch.
            steps: Steps it will take, all rounds together.
        """
        if privacy is None:
            return cls(data=data, rate=rate, noise_multiplier=0.0)
        sigma = privacy.noise_multiplier or calibrate_noise(
            privacy.target_epsilon or 0.0, sample_rate=rate, steps=steps, delta=privacy.delta
        )
        return cls(data=data, rate=rate, noise_multiplier=sigma)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What a federation gave.

    Attributes:
        start: Weights ``[P]`` before the first round.
        updates: ``float32 [rounds, k, P]``, what each owner sent, already noised.
        weights: ``[k]``, how they were averaged; they add up to one.
    """

    start: Float[torch.Tensor, " P"]
    updates: Float[torch.Tensor, "rounds k P"]
    weights: Float[torch.Tensor, " k"] = field(default_factory=lambda: torch.zeros(0))

    def final(self, coalition: Sequence[int] | None = None) -> Float[torch.Tensor, " P"]:
        """Weights after the last round, had only some owners taken part.

        Their updates are those they really sent, so this is post-processing of what was noised; an
        owner's later updates do answer to models the others had a part in.
        """
        chosen = list(range(self.updates.shape[1]) if coalition is None else coalition)
        if not chosen:
            return self.start
        weights = self.weights[chosen] / self.weights[chosen].sum()
        moved = torch.einsum("rkp,k->p", self.updates[:, chosen], weights)
        return self.start + moved


def federate(
    net: nn.Module,
    owners: Sequence[Owner],
    recipe: Recipe,
    privacy: DpConfig | None,
    *,
    rounds: int,
    local_steps: int,
    weights: torch.Tensor,
    seed: int | None,
    progress: Progress,
    after_round: Callable[[int, nn.Module], None] = lambda number, net: None,
) -> Trained:
    """Train a net in place.

    Each round every owner starts at the common weights, takes its steps of DP-SGD on its own
    images and sends by how much its weights moved; the server adds the average.

    Args:
        net: The common net, with its first weights.
        owners: Data and noise of each.
        recipe: How an owner trains.
        privacy: Clipping norm and delta; None trains without noise.
        rounds: Rounds.
        local_steps: Steps of each owner in a round.
        weights: ``[k]``, of the average.
        seed: Seed of batches and noise; None for what leaves, whose noise is the system's.
        progress: Where to report.
        after_round: Called with the round's number and the common net.

    Raises:
        DataError: The weights are not finite any more.

    Source:
        McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized
        data", algorithm 1; record-level privacy within each silo as in Liu et al. 2022.
    """
    shares = weights / weights.sum()
    start, updates = _vector(net), []
    here = start
    local = recipe.model_copy(
        update={"steps": local_steps, "schedule": "constant", "warmup": 0.0, "compile": "off"}
    )
    with progress.stage("rounds", rounds) as bar:
        for number in range(rounds):
            sent = []
            for index, owner in enumerate(owners):
                own = copy.deepcopy(net)
                own_seed = None if seed is None else integer_seed(seed, "round", number, index)
                _local(own, owner, local, privacy, own_seed)
                sent.append(_vector(own) - here)
            updates.append(torch.stack(sent))
            here = here + (shares.to(here)[:, None] * updates[-1]).sum(dim=0)
            if not math.isfinite(float(here.sum())):
                raise DataError(
                    "the federation diverged", where="federation", fix="Lower recipe.lr."
                )
            model_of(net, here)
            after_round(number, net)
            bar.advance()
    return Trained(start=start, updates=torch.stack(updates), weights=shares.to(here))


def _local(
    net: nn.Module,
    owner: Owner,
    recipe: Recipe,
    privacy: DpConfig | None,
    seed: int | None,
) -> None:
    if privacy is None:
        drawn = secrets.randbits(63) if seed is None else seed
        size = max(1, round(owner.rate * len(owner.data)))
        own = recipe.model_copy(update={"batch_size": size})
        train(net, owner.data, own, seed=drawn, progress=Silent(), label="owner")
        return
    noised = privacy.model_copy(
        update={"target_epsilon": None, "noise_multiplier": owner.noise_multiplier}
    )
    train_private(
        net,
        owner.data,
        recipe,
        noised,
        seed=seed,
        progress=Silent(),
        label="owner",
        rate=owner.rate,
    )


def model_of(net: nn.Module, weights: torch.Tensor) -> nn.Module:
    """Put a vector of weights into a net, in place."""
    at = 0
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(weights[at : at + parameter.numel()].reshape(parameter.shape))
            at += parameter.numel()
    return net


def _vector(net: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in net.parameters()]).clone()
