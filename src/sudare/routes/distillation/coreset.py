"""Real images that are chosen instead of learned: what distillation has to beat."""

from __future__ import annotations

import time

import numpy as np
import torch

from sudare.core.arrays import Float32Array, IntArray
from sudare.core.errors import DataError
from sudare.core.seeds import generator, integer_seed
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.nets.normalisation import normalise
from sudare.nets.predict import predict
from sudare.nets.random_features import RandomFeatures
from sudare.releases.card import Card, Statistic
from sudare.releases.kinds import SamplesRelease, SamplesSpec
from sudare.routes.base import Build, BuildRecord, Role, Route, card_for
from sudare.routes.context import BuildContext
from sudare.routes.distillation.config import CoresetConfig
from sudare.training.loop import TrainingData, train

_WIDTH = 16


class CoresetRoute(Route[CoresetConfig]):
    """k-center or herding in the features of fixed random filters, or soft labels."""

    def _build(self, private: ImageDataset, context: BuildContext) -> Build:
        start, config = time.process_time(), self.config
        rng, chosen = generator(context.seed, "coreset"), []
        features = _features(private)
        for label, name in enumerate(private.class_names):
            members = np.flatnonzero(private.classes == label)
            if len(members) < config.images_per_class:
                raise DataError(
                    f"class {name!r} has {len(members)} images in this build, "
                    f"{config.images_per_class} are wanted",
                    where=private.name,
                    fix="Lower images_per_class, or enlarge the pool.",
                )
            rows = self._choose(features[members], rng)
            chosen.append(members[rows])
        rows = rng.permutation(np.concatenate(chosen))
        soft = np.eye(private.n_classes, dtype=np.float32)[private.classes[rows]]
        if config.method == "soft-labels":
            soft = self._taught(private, rows, context)
        roles = np.zeros(len(private), dtype=np.int8)
        if config.method == "soft-labels":
            roles[:] = Role.TRAIN
        roles[rows] = Role.RELEASED
        release = SamplesRelease(
            card=self._card(private), images=private.images[rows], soft_labels=soft
        )
        record = BuildRecord(roles=roles, cpu_s=time.process_time() - start)
        return Build(releases={config.name: release}, record=record)

    def _choose(self, features: Float32Array, rng: np.random.Generator) -> IntArray:
        count = self.config.images_per_class
        match self.config.method:
            case "k-center":
                return k_center(features, count, first=int(rng.integers(len(features))))
            case "herding":
                return herding(features, count)
            case "soft-labels":
                drawn: IntArray = rng.choice(len(features), size=count, replace=False)
                return drawn

    def _taught(self, private: ImageDataset, rows: IntArray, context: BuildContext) -> Float32Array:
        """Answers of a net trained on all private images."""
        net = build_net(
            self.config.net,
            image_shape=private.image_shape,
            n_classes=private.n_classes,
            seed=integer_seed(context.seed, "teacher weights"),
        ).to(context.device)
        data = TrainingData.of(private.images, private.classes, device=context.device)
        train(
            net,
            data,
            self.config.recipe,
            seed=integer_seed(context.seed, "teacher"),
            progress=context.progress,
            label="teacher",
        )
        logits = predict(net, private.images[rows], device=context.device)
        soft = np.exp(logits - logits.max(axis=1, keepdims=True))
        answers: Float32Array = (soft / soft.sum(axis=1, keepdims=True)).astype(np.float32)
        return answers

    def _card(self, private: ImageDataset) -> Card:
        config = self.config
        leaks = [Statistic(name="pixels", value="real private images", status="leak")]
        settings = {"images_per_class": str(config.images_per_class), "method": config.method}
        if config.method == "soft-labels":
            told = "answers of a net trained on all private images"
            leaks.append(Statistic(name="soft labels", value=told, status="leak"))
            settings |= {f"recipe.{name}": str(value) for name, value in config.recipe}
        return card_for(
            config,
            private,
            SamplesSpec(),
            settings=settings,
            statistics=tuple(leaks),
        )


def k_center(features: Float32Array, count: int, *, first: int) -> IntArray:
    """Greedy k-center: again and again the row farthest from all that are chosen.

    Source:
        Gonzalez 1985; Sener and Savarese 2018, algorithm 1.
    """
    chosen = [first]
    nearest = np.linalg.norm(features - features[first], axis=1)
    while len(chosen) < count:
        farthest = int(np.argmax(nearest))
        chosen.append(farthest)
        nearest = np.minimum(nearest, np.linalg.norm(features - features[farthest], axis=1))
        nearest[chosen] = -1.0
    return np.array(chosen, dtype=np.int64)


def herding(features: Float32Array, count: int) -> IntArray:
    """Greedy herding: again and again the row that moves the chosen mean nearest to the whole.

    Source:
        Welling 2009; as in Rebuffi et al. 2017, algorithm 4.
    """
    mean, total = features.mean(axis=0), np.zeros(features.shape[1])
    left, chosen = np.ones(len(features), dtype=bool), []
    for size in range(1, count + 1):
        gaps = np.linalg.norm(mean - (total + features) / size, axis=1)
        best = int(np.argmin(np.where(left, gaps, np.inf)))
        left[best] = False
        total = total + features[best]
        chosen.append(best)
    return np.array(chosen, dtype=np.int64)


def _features(private: ImageDataset) -> Float32Array:
    """Responses of fixed random filters: nothing private has shaped them."""
    filters = RandomFeatures(private.image_shape, 2, width=_WIDTH)
    with torch.inference_mode():
        images = torch.from_numpy(np.array(private.images))
        parts = [filters.embed(normalise(part)) for part in images.split(512)]
    values: Float32Array = torch.cat(parts).numpy()
    return values
