"""The nets that answer for a release: its own, or recipients', trained once for all checks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from sudare.core.hashing import Json
from sudare.core.progress import Progress
from sudare.fleets.builds import make_deterministic, nets_modules
from sudare.fleets.cache import entry_key
from sudare.fleets.features import BOOKS
from sudare.fleets.tasks import Task
from sudare.nets import build as build_net
from sudare.nets.extractors.features import FeatureBook
from sudare.recipients.config import RecipientConfig
from sudare.recipients.heads import FeatureNet, Head
from sudare.recipients.train import train_recipients
from sudare.releases.kinds import FeatureLesson, Release
from sudare.releases.store import read_release

__all__ = ["answering_task", "load_answering", "run_answering"]

_WEIGHTS = "nets.safetensors"


def answering_task(
    identity: str,
    release: Path,
    config: RecipientConfig,
    *,
    seed: int,
    device: str,
    threads: int,
) -> Task:
    """The task that trains recipients' nets on a release; nothing where it answers by itself."""
    values: dict[str, Json] = {
        "work": "answering",
        "release": identity,
        "recipients": config.model_dump(mode="json"),
        "seed": seed,
        "device": device,
        "threads": threads,
    }
    return Task(
        key=entry_key(values, roots=[__name__, *nets_modules(config)]),
        function=f"{__name__}:run_answering",
        arguments={
            "release": str(release),
            "recipients": values["recipients"],
            "seed": seed,
            "device": device,
        },
        weight=0.1,
    )


def run_answering(folder: Path, arguments: Mapping[str, Json], progress: Progress) -> None:
    """Train the nets and keep their weights. Runs in a worker."""
    make_deterministic(str(arguments["device"]))
    release = read_release(Path(str(arguments["release"])))
    costs: dict[str, float] = {}
    lesson = release.lesson()
    if lesson is not None:
        config = RecipientConfig.model_validate(arguments["recipients"])
        start = time.process_time()
        trained = train_recipients(
            release,
            lesson,
            config,
            seed=int(str(arguments["seed"])),
            device=str(arguments["device"]),
            progress=progress,
        )
        costs["recipient_train_s"] = (time.process_time() - start) / config.count
        weights = {
            f"{index}/{name}": value.detach().cpu().contiguous()
            for index, net in enumerate(trained)
            for name, value in net.state_dict().items()
        }
        save_file(weights, folder / _WEIGHTS)
    (folder / "costs.json").write_text(json.dumps(costs))


def load_answering(
    task: Path, release: Release, config: RecipientConfig, *, device: str
) -> tuple[torch.nn.Module, ...]:
    """The nets of an entry, in evaluation mode.

    Args:
        task: Folder of the entry.
        release: The release they answer for.
        config: How they were trained.
        device: Where they run.
    """
    if not (task / _WEIGHTS).is_file():
        return (release.net(device=device),)
    weights, answering = load_file(task / _WEIGHTS), []
    untrained = _untrained(
        release, config, book=partial(FeatureBook.at, task.parent.parent / BOOKS, device=device)
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
    release: Release, config: RecipientConfig, *, book: Callable[[str], FeatureBook]
) -> Callable[[], tuple[torch.nn.Module, torch.nn.Module]]:
    """Makes the net of one recipient, and that part of it whose weights were trained."""
    lesson = release.lesson()
    if isinstance(lesson, FeatureLesson):
        extractor = lesson.extractor(trusted=config.extractor)
        known = book(extractor.fingerprint)

        def on_features() -> tuple[torch.nn.Module, torch.nn.Module]:
            head = Head(lesson.dim, lesson.n_classes, config.head, seed=0)
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
