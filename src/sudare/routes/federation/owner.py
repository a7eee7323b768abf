"""What an owner does on its own premises: takes steps, scores its records, keeps its books."""

from __future__ import annotations

import copy
import hashlib
import secrets
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sudare.accounting.accountants import calibrate_noise, epsilon_spent
from sudare.accounting.ledger import LedgerEntry
from sudare.core.arrays import FloatArray
from sudare.core.progress import Silent
from sudare.nets.normalisation import normalise
from sudare.routes.federation.config import EXPECTED_BATCH, FederationConfig, ValuationConfig
from sudare.training.dpsgd import train_private
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import DpConfig, Recipe
from sudare.valuation.scores import StreamingVog, gradient_norms, input_gradients, plis


@dataclass(frozen=True, kw_only=True, eq=False)
class Owner:
    """One owner and how it trains.

    Attributes:
        data: Its own images, on the device.
        rate: Chance of each image to be in a step's batch.
        noise_multiplier: Noise over clipping norm; 0 where nothing is promised.
        expected_batch: What noised sums are divided by, the same for all owners.
    """

    data: TrainingData
    rate: float
    noise_multiplier: float
    expected_batch: int = EXPECTED_BATCH

    @classmethod
    def of(cls, data: TrainingData, config: FederationConfig) -> Owner:
        """Calibrated for all steps of all rounds, and for the scores that are released beside.

        Args:
            data: Its images.
            config: The federation.
        """
        # Averaged by size, sizes are told anyway: a larger owner must not count by size twice.
        own = max(1, round(config.rate * len(data)))
        return cls(
            data=data,
            rate=config.rate,
            noise_multiplier=noise_of(config),
            expected_batch=own if config.weights == "size" else config.expected_batch,
        )


def noise_of(config: FederationConfig) -> float:
    """Noise over clipping norm of each step; 0 where nothing is promised.

    The epsilon in the federation's name is what an owner spends in all: released scores come out
    of it, and the training has what is left.
    """
    privacy = config.privacy
    if privacy is None:
        return 0.0
    return privacy.noise_multiplier or calibrate_noise(
        privacy.target_epsilon or 0.0,
        sample_rate=config.rate,
        steps=config.rounds * config.local_steps,
        delta=privacy.delta,
        beside=((config.valuation.noise, 1.0, 2),),
    )


def local_update(
    net: nn.Module,
    owner: Owner,
    recipe: Recipe,
    privacy: DpConfig | None,
    *,
    steps: int,
    seed: int | None,
) -> torch.Tensor:
    """By how much the weights move in an owner's steps of one round, ``[P]``: what it sends.

    Args:
        net: The common net; it is not changed.
        owner: Data and noise.
        recipe: How the owner trains.
        privacy: Clipping norm and delta; None trains without noise.
        steps: Steps to take.
        seed: Seed of batches and noise; None for what leaves, whose noise is the system's.
    """
    own = copy.deepcopy(net)
    before = flattened(own)
    local = recipe.model_copy(
        update={"steps": steps, "schedule": "constant", "warmup": 0.0, "compile": "off"}
    )
    if privacy is None:
        size = max(1, round(owner.rate * len(owner.data)))
        train(
            own,
            owner.data,
            local.model_copy(update={"batch_size": size}),
            seed=secrets.randbits(63) if seed is None else seed,
            progress=Silent(),
            label="owner",
        )
    else:
        noised = privacy.model_copy(
            update={"target_epsilon": None, "noise_multiplier": owner.noise_multiplier}
        )
        train_private(
            own,
            owner.data,
            local,
            noised,
            seed=seed,
            progress=Silent(),
            label="owner",
            rate=owner.rate,
            expected_batch=owner.expected_batch,
        )
    return flattened(own) - before


def flattened(net: nn.Module) -> torch.Tensor:
    """All parameters of a net as one vector ``[P]``, a copy."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in net.parameters()]).clone()


class RecordScores:
    """A score of every record along the rounds: VoG, PLIS, or what they must be told apart from.

    Args:
        kind: ``vog``, ``plis``, ``loss``, ``gradient-norm`` or ``random``.
        images: Images as they are stored, ``[n, c, h, w]``.
        labels: Their classes.
        device: Where to compute.
    """

    def __init__(
        self, kind: str, images: np.ndarray, labels: np.ndarray, *, device: torch.device | str
    ) -> None:
        self._kind = kind
        self._images = normalise(torch.from_numpy(np.array(images)).to(device))
        self._labels = torch.from_numpy(np.array(labels)).to(device)
        self._vog, self._sum, self._count = StreamingVog(), np.zeros(len(images)), 0

        # Of the record itself, so that it does not change with who else is there.
        lucky = images if kind == "random" else images[:0]
        self._luck = np.array([_luck_of(image) for image in lucky], dtype=np.float64)

    def add(self, net: nn.Module) -> None:
        """One state of the net."""
        if not len(self._images):
            return
        net.eval()
        if self._kind == "vog":
            self._vog.add(input_gradients(net, self._images, self._labels))
        else:
            self._sum += self._now(net)
        self._count += 1

    def _now(self, net: nn.Module) -> FloatArray:
        """The score of each record under one state of the net."""
        images, labels = self._images, self._labels
        match self._kind:
            case "plis":
                values = plis(net, images, labels).flatten(1).norm(dim=1)
            case "gradient-norm":
                return gradient_norms(net, images, labels)
            case "random":
                return self._luck
            case _:
                with torch.no_grad():
                    values = torch.nn.functional.cross_entropy(
                        net(images), labels, reduction="none"
                    )
        found: FloatArray = values.double().cpu().numpy()
        return found

    def scores(self) -> FloatArray:
        """The score of each record: over the rounds its variation (VoG), else its mean."""
        if not len(self._images):
            return np.zeros(0)
        if self._kind == "vog":
            return self._vog.scores() if self._count > 1 else np.zeros(len(self._images))
        means: FloatArray = self._sum / max(1, self._count)
        return means


def _luck_of(image: np.ndarray) -> float:
    """Between 0 and 1, told by the record's bytes and nothing else."""
    digest = hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def told(
    scores: FloatArray, *, unit: float, valuation: ValuationConfig, normal: FloatArray | None
) -> tuple[float, float]:
    """What an owner says of its records: their number and their mean score.

    Args:
        scores: One for each record.
        unit: What counts as 1, from public images.
        valuation: Clipping and noise.
        normal: Two standard normal numbers, or None where nothing is promised.
    """
    each = np.clip(scores / max(unit, 1e-12), 0.0, valuation.clip)
    count, total = float(len(each)), float(each.sum())
    if normal is not None:
        count += valuation.noise * float(normal[0])
        total += valuation.noise * valuation.clip * float(normal[1])
    mean = min(max(total / max(count, 1.0), 0.0), valuation.clip)
    return max(count, 0.0), mean


def training_entry(config: FederationConfig, noise_multiplier: float, *, steps: int) -> LedgerEntry:
    """What so many steps of training cost an owner's records."""
    return _entry(config, "training", noise_multiplier, rate=config.rate, steps=steps)


def scores_entry(config: FederationConfig) -> LedgerEntry:
    """What the released number of records and sum of scores cost."""
    purpose = "released number of records and sum of scores"
    return _entry(config, purpose, config.valuation.noise, rate=1.0, steps=2)


def _entry(
    config: FederationConfig, purpose: str, sigma: float, *, rate: float, steps: int
) -> LedgerEntry:
    if config.privacy is None:
        raise ValueError("nothing is promised, so nothing is spent")
    delta = config.privacy.delta
    return LedgerEntry(
        purpose=purpose,
        mechanism="Poisson-subsampled Gaussian" if rate < 1 else "Gaussian",
        noise_multiplier=sigma,
        sample_rate=rate,
        steps=steps,
        delta=delta,
        epsilon=epsilon_spent(sigma, sample_rate=rate, steps=steps, delta=delta),
    )
