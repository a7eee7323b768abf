"""An owner's side of a job: what it answers a server, from its own images, books and folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from scipy.special import ndtri

from sudare.accounting.ledger import Ledger, LedgerEntry
from sudare.core.arrays import FloatArray
from sudare.core.errors import DataError
from sudare.core.files import atomic_write
from sudare.core.seeds import generator
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.routes.federation.books import Told
from sudare.routes.federation.fedavg import model_of, round_seed
from sudare.routes.federation.job import Job
from sudare.routes.federation.owner import (
    Owner,
    RecordScores,
    local_update,
    scores_entry,
    told,
    training_entry,
)
from sudare.training.loop import TrainingData
from sudare.training.randomness import system_uniform

__all__ = ["Silo", "for_the_job"]

LEDGER_FILE, STATEMENT_FILE = "ledger.jsonl", "statement.json"
_MOST_STATES, _LONGEST_STATEMENT = 16, 1 << 20


def for_the_job(data: ImageDataset, job: Job) -> ImageDataset:
    """An owner's images with the job's numbers of classes.

    Raises:
        DataError: Another shape, a class the job does not have, several labels, or no image.
    """
    if data.multi_label:
        raise DataError("a federation takes one class for each image", where=data.name)
    if data.image_shape != job.image_shape:
        raise DataError(
            f"images of shape {data.image_shape}, but the job's are {job.image_shape}",
            where=data.name,
            fix="Resize them with --image-size.",
        )
    if not len(data):
        raise DataError("there are no images", where=data.name)
    unknown = [name for name in data.class_names if name not in job.class_names]
    if unknown:
        raise DataError(
            f"the class {unknown[0]!r} is none of the job's",
            where=data.name,
            fix=f"The job's classes: {', '.join(job.class_names)}.",
        )
    numbers = np.array([job.class_names.index(name) for name in data.class_names])
    return ImageDataset(
        images=data.images,
        labels=numbers[data.classes],
        class_names=job.class_names,
        unit=data.unit,
        name=data.name,
        licence=data.licence,
    )


class Silo:
    """Answers to a server's questions. An answer is kept: the same question costs nothing twice.

    What a round costs is in the ledger before the round begins. A round that was cut off before
    its answer was kept may have been computed, so it stays charged, and is charged again.

    Args:
        job: What was agreed on.
        owner: Name of this owner.
        data: Its images, as `for_the_job` gives them.
        folder: Its own folder, for ledger and answers; for nobody else's eyes.
        max_epsilon: What its ledger may reach; the job's if None.
    """

    def __init__(
        self,
        job: Job,
        owner: str,
        data: ImageDataset,
        folder: Path,
        *,
        max_epsilon: float | None = None,
    ) -> None:
        self._job, self._owner, self._data, self._folder = job, owner, data, folder
        self._index = job.index(owner)
        self._limit = max_epsilon if max_epsilon is not None else job.max_epsilon
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def update(self, number: int, weights: torch.Tensor) -> torch.Tensor:
        """What this owner sends in a round: ``[P]``.

        Args:
            number: The round, from 0.
            weights: The common weights ``[P]``.

        Raises:
            DataError: No such round, or weights that fit no net of the job.
            BudgetError: The ledger refuses, or another process of this owner holds it.
        """
        config = self._job.federation
        if not 0 <= number < config.rounds:
            raise DataError(f"round {number} is none of this job's {config.rounds}")
        kept = self._answer(f"round-{number:04d}.safetensors")
        net = self._net(weights)
        with self._ledger() as ledger:
            if not kept.exists():
                owner = Owner(
                    data=TrainingData.of(self._data.images, self._data.classes, device="cpu"),
                    rate=config.rate,
                    noise_multiplier=self._job.noise_multiplier,
                    expected_batch=config.expected_batch,
                )
                if config.privacy is not None:
                    ledger.charge(
                        training_entry(config, owner.noise_multiplier, steps=config.local_steps)
                    )
                sent = local_update(
                    net,
                    owner,
                    config.recipe,
                    config.privacy,
                    steps=config.local_steps,
                    seed=round_seed(self._job.parameters_seed, number, self._index),
                )
                atomic_write(kept, save_tensors({"update": sent}))
        return load_tensors(kept.read_bytes())["update"]

    def scores(self, states: torch.Tensor, unit: float) -> Told:
        """Number of records and mean score along the rounds, noised, and what was spent in all.

        Args:
            states: Common weights ``[s, P]`` after some of the rounds.
            unit: What counts as a score of 1.

        Raises:
            DataError: Weights that fit no net of the job.
            BudgetError: As for `update`.
        """
        config = self._job.federation
        if states.ndim != 2 or not 1 <= len(states) <= _MOST_STATES:
            raise DataError(f"states of shape {tuple(states.shape)}")
        if not 0 <= unit < math.inf:
            raise DataError("a unit of scores that is no finite number")
        kept = self._answer("scores.json")
        with self._ledger() as ledger:
            if not kept.exists():
                if config.privacy is not None:
                    ledger.charge(scores_entry(config))
                scored = RecordScores(
                    config.valuation.score, self._data.images, self._data.classes, device="cpu"
                )
                for state in states:
                    scored.add(self._net(state))
                records, score = told(
                    scored.scores(),
                    unit=unit,
                    valuation=config.valuation,
                    normal=self._normal() if config.privacy else None,
                )
                atomic_write(kept, json.dumps({"records": records, "score": score}))
            spent = summed(ledger.entries)
        said = json.loads(kept.read_text())
        return Told(name=self._owner, records=said["records"], score=said["score"], ledger=spent)

    def keep_statement(self, statement: str) -> None:
        """Keep what the server says this owner brought and is paid.

        Raises:
            DataError: It is longer than any statement.
        """
        if len(statement) > _LONGEST_STATEMENT:
            raise DataError(f"a statement of {len(statement):,} characters")
        atomic_write(self._answer(STATEMENT_FILE), statement)

    @property
    def statement(self) -> Path:
        """Where the statement lies once the job is over."""
        return self._answer(STATEMENT_FILE)

    def _answer(self, name: str) -> Path:
        return self._folder / self._job.name / name

    def _ledger(self) -> Ledger:
        privacy = self._job.federation.privacy
        # Without a promise there is nothing to spend; the file still keeps out a second process.
        return Ledger(
            self._folder / LEDGER_FILE,
            delta=privacy.delta if privacy else 1e-5,
            max_epsilon=self._limit,
        )

    def _net(self, weights: torch.Tensor) -> torch.nn.Module:
        job = self._job
        net = build_net(
            job.federation.net,
            image_shape=job.image_shape,
            n_classes=len(job.class_names),
            seed=0,
        )
        size = sum(parameter.numel() for parameter in net.parameters())
        if weights.shape != (size,) or weights.dtype != torch.float32:
            raise DataError(f"weights of shape {tuple(weights.shape)} for a net of {size:,}")
        if not bool(torch.isfinite(weights).all()):
            raise DataError("weights that are not finite")
        return model_of(net, weights)

    def _normal(self) -> FloatArray:
        if self._job.seed is not None:
            return generator(self._job.seed, "released scores", self._index).standard_normal(2)
        drawn: FloatArray = ndtri(system_uniform(2))
        return drawn


def summed(entries: Sequence[LedgerEntry]) -> tuple[LedgerEntry, ...]:
    """Entries of one mechanism and one purpose as one entry."""
    from sudare.accounting.accountants import epsilon_spent

    found: dict[tuple[object, ...], LedgerEntry] = {}
    for entry in entries:
        key = (entry.purpose, entry.mechanism, entry.noise_multiplier, entry.sample_rate)
        steps = entry.steps + (found[key].steps if key in found else 0)
        found[key] = entry.model_copy(update={"steps": steps})
    return tuple(
        entry.model_copy(
            update={
                "epsilon": epsilon_spent(
                    entry.noise_multiplier,
                    sample_rate=entry.sample_rate,
                    steps=entry.steps,
                    delta=entry.delta,
                )
            }
        )
        for entry in found.values()
    )
