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
from sudare.releases.kinds import FeatureSource, LogitsView, Release, TrainingSet
from sudare.training.compiled import SURE_BUILDS
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import Recipe


def train_recipients(
    release: Release,
    training_set: TrainingSet | FeatureSource,
    config: RecipientConfig,
    *,
    seed: int,
    device: str,
    progress: Progress,
) -> tuple[torch.nn.Module, ...]:
    """Train ``config.count`` nets on the training set, each from its own seed.

    Where features are released, these are heads; ``FeatureNet`` puts the extractor below one.
    """
    if isinstance(training_set, FeatureSource):
        return tuple(
            train_head(
                training_set,
                config.head,
                seed=integer_seed(seed, "recipient", index),
                device=device,
                progress=progress,
            )
            for index in range(config.count)
        )
    data = TrainingData.of(training_set.images, training_set.soft_labels, device=device)
    recipe = recipe_for(training_set, config.recipe)
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
            expected_runs=SURE_BUILDS * config.count,
        )
        trained.append(net.eval())
    return tuple(trained)


def recipe_for(training_set: TrainingSet, own: Recipe) -> Recipe:
    """The recipient's recipe, with what the card says to do otherwise.

    Raises:
        ReleaseError: The card's recipe is none.
    """
    try:
        return Recipe.model_validate({**own.model_dump(), **training_set.recipe})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ReleaseError(
            f"the card's recipe is not valid: {place}: {first['msg']}", where="release.json"
        ) from error


def recipients_view(trained: tuple[torch.nn.Module, ...], *, device: str) -> LogitsView:
    """What an attacker sees who can only query the nets that answer."""
    return LogitsView(trained, device)
