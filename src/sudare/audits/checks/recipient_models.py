"""Recipients' models of a release, trained once for all checks; its own net where it has one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file

from sudare.core.hashing import hash_json
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.fleets.builds import FEATURES, BuildJob, make_deterministic, nets_modules
from sudare.fleets.cache import Cache
from sudare.fleets.jobs import Job
from sudare.nets import build as build_net
from sudare.nets.extractors.features import FeatureStore
from sudare.nets.weights import state_of
from sudare.recipients.config import RecipientConfig
from sudare.recipients.heads import FeatureNet, Head
from sudare.recipients.train import train_recipients
from sudare.releases.kinds import FeatureSource, Release
from sudare.releases.store import read_card, read_release

_WEIGHTS = "nets.safetensors"


class BuiltRelease(BaseModel):
    """A release that a build of the cache gave.

    Attributes:
        build: Key of the build.
        name: Which of its releases.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    build: str
    name: str

    def folder(self, cache: Cache) -> Path:
        """Where it lies."""
        return self.record(cache) / "releases" / self.name

    def record(self, cache: Cache) -> Path:
        """Where the private record of its build lies."""
        return cache.path(self.build)


class ArtefactRelease(BaseModel):
    """A release that lies somewhere else.

    Attributes:
        content: Hash of its files.
        place: Its folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str
    place: Path

    @classmethod
    def at(cls, folder: Path) -> ArtefactRelease:
        """The release in a folder."""
        listed = [[entry.name, entry.sha256] for entry in read_card(folder).files]
        return cls(content=hash_json(listed), place=folder.resolve())

    def folder(self, cache: Cache) -> Path:
        """Where it lies."""
        return self.place

    def record(self, cache: Cache) -> None:
        """Nobody knows how it was built."""


ReleaseSource: TypeAlias = BuiltRelease | ArtefactRelease


class RecipientsJob(Job):
    """Trains recipients' models on a release; nothing where it answers by itself.

    Attributes:
        release: What they are trained on.
        recipients: How.
        seed: Seed of the release's measurements; named parts of it.
        device: Where nets run.
        threads: Threads of the worker.
    """

    weight: ClassVar[float] = 0.1

    release: ReleaseSource
    recipients: RecipientConfig
    seed: int
    device: str
    threads: int

    @classmethod
    def of_build(cls, build: BuildJob, release: str, recipients: RecipientConfig) -> RecipientsJob:
        """Of one of a build's releases."""
        return cls(
            release=BuiltRelease(build=build.key, name=release),
            recipients=recipients,
            # From the build's own seed and never from its key, which any line of code changes.
            seed=integer_seed(build.seed, "recipients", release),
            device=build.device,
            threads=build.threads,
        )

    @classmethod
    def of_artefact(
        cls, folder: Path, recipients: RecipientConfig, *, device: str, threads: int
    ) -> RecipientsJob:
        """Of a release that lies somewhere else."""
        release = ArtefactRelease.at(folder)
        return cls(
            release=release,
            recipients=recipients,
            seed=integer_seed(0, "recipients", release.content),
            device=device,
            threads=threads,
        )

    @property
    def modules(self) -> set[str]:
        """Of the nets that recipients train."""
        return nets_modules(self.recipients)

    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Train the models and keep their weights."""
        make_deterministic(self.device)
        release, costs = read_release(self.release.folder(cache)), {}
        training_set = release.training_set()
        if training_set is not None:
            start = time.process_time()
            trained = train_recipients(
                release,
                training_set,
                self.recipients,
                seed=self.seed,
                device=self.device,
                progress=progress,
            )
            costs["recipient_train_s"] = (time.process_time() - start) / self.recipients.count
            weights = {
                f"{index}/{name}": value
                for index, net in enumerate(trained)
                for name, value in state_of(net).items()
            }
            save_file(weights, folder / _WEIGHTS)
        (folder / "costs.json").write_text(json.dumps(costs))


def load_models(job: RecipientsJob, release: Release, cache: Cache) -> tuple[torch.nn.Module, ...]:
    """The models that answer for a release, in evaluation mode.

    Args:
        job: What trained them.
        release: The release they answer for.
        cache: Where its entry lies.
    """
    config, device, file = job.recipients, job.device, cache.path(job.key) / _WEIGHTS
    if not file.is_file():
        return (release.net(device=device),)
    weights, answering = load_file(file), []
    untrained = _untrained(
        release, config, book=partial(FeatureStore.at, cache.root / FEATURES, device=device)
    )
    for index in range(config.count):
        net, learned = untrained()
        own = f"{index}/"
        learned.load_state_dict(
            {name.removeprefix(own): v for name, v in weights.items() if name.startswith(own)}
        )
        answering.append(net.to(device).eval())
    return tuple(answering)


def _untrained(
    release: Release, config: RecipientConfig, *, book: Callable[[str], FeatureStore]
) -> Callable[[], tuple[torch.nn.Module, torch.nn.Module]]:
    """Makes the net of one recipient, and that part of it whose weights were trained."""
    training_set = release.training_set()
    if isinstance(training_set, FeatureSource):
        extractor = training_set.extractor(trusted=config.extractor)
        known = book(extractor.fingerprint)

        def on_features() -> tuple[torch.nn.Module, torch.nn.Module]:
            head = Head(training_set.dim, training_set.n_classes, config.head, seed=0)
            return FeatureNet(extractor, head, known), head

        return on_features

    def on_pixels() -> tuple[torch.nn.Module, torch.nn.Module]:
        net = build_net(
            config.net,
            image_shape=release.card.image_shape,
            n_classes=len(release.card.class_names),
            seed=0,
        )
        return net, net

    return on_pixels
