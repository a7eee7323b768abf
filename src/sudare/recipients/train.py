"""Recipients' models: several nets trained on what was released, seeded by build and index."""

from __future__ import annotations

import torch
from pydantic import ValidationError

from sudare.core.errors import ReleaseError
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.nets import build as build_net
from sudare.recipients.config import RecipientConfig
from sudare.recipients.heads import train_head
from sudare.releases.kinds import FeatureLesson, Lesson, LogitsView, Release
from sudare.training.compiled import SURE_BUILDS
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import Recipe

__all__ = ["recipe_for", "recipients_view", "train_recipients"]


def train_recipients(
    release: Release,
    lesson: Lesson | FeatureLesson,
    config: RecipientConfig,
    *,
    seed: int,
    device: str,
    progress: Progress,
) -> tuple[torch.nn.Module, ...]:
    """Train ``config.count`` nets on the lesson, each from its own seed.

    Where features are released, these are heads; ``FeatureNet`` puts the extractor below one.
    """
    if isinstance(lesson, FeatureLesson):
        return tuple(
            train_head(
                lesson,
                config.head,
                seed=integer_seed(seed, "recipient", index),
                device=device,
                progress=progress,
            )
            for index in range(config.count)
        )
    data = TrainingData.of(lesson.images, lesson.soft_labels, device=device)
    recipe = recipe_for(lesson, config.recipe)
    trained = []
    for index in range(config.count):
        net = build_net(
            config.net,
            image_shape=release.card.image_shape,
            n_classes=len(release.card.class_names),
            seed=integer_seed(seed, "recipient weights", index),
        ).to(device)
        train(
            net,
            data,
            recipe,
            seed=integer_seed(seed, "recipient", index),
            progress=progress,
            label=f"recipient {index + 1} of {config.count}",
            alike=SURE_BUILDS * config.count,
        )
        trained.append(net.eval())
    return tuple(trained)


def recipe_for(lesson: Lesson, own: Recipe) -> Recipe:
    """The recipient's recipe, with what the card says to do otherwise.

    Raises:
        ReleaseError: The card's recipe is none.
    """
    try:
        return Recipe.model_validate({**own.model_dump(), **lesson.recipe})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ReleaseError(
            f"the card's recipe is not valid: {place}: {first['msg']}", where="release.json"
        ) from error


def recipients_view(trained: tuple[torch.nn.Module, ...], *, device: str) -> LogitsView:
    """What an attacker sees who can only query the nets that answer."""
    return LogitsView(trained, device)
