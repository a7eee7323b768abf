"""Builds a distilled set: private images onto the device, a method, a release with its recipe."""

from __future__ import annotations

import time

import numpy as np
import torch

from sudare.core.arrays import Float32Array
from sudare.core.seeds import integer_seed
from sudare.data.images import ImageDataset
from sudare.nets.normalisation import normalise
from sudare.releases.card import Card, Statistic
from sudare.releases.kinds import SamplesRelease, SamplesSpec
from sudare.routes.base import Build, BuildRecord, Role, Route, card_for
from sudare.routes.context import BuildContext
from sudare.routes.distillation.common import Distilled, Learning, start_images
from sudare.routes.distillation.config import (
    DistillationConfig,
    DmConfig,
    DsaConfig,
    IdcConfig,
    MttConfig,
)
from sudare.routes.distillation.dm import distil_dm
from sudare.routes.distillation.dsa import distil_dsa
from sudare.routes.distillation.idc import distil_idc
from sudare.routes.distillation.mtt import distil_mtt
from sudare.training.dsa import operations_of


class DistillationRoute(Route[DistillationConfig]):
    """Learns a few images of each class by DM, DSA, MTT or IDC.

    Source:
        The study this route answers is Chen et al. 2023, "A comprehensive study on dataset
        distillation: performance, privacy, robustness and fairness"; each method names its own.
    """

    def _build(self, private: ImageDataset, context: BuildContext) -> Build:
        config, start = self.config, time.process_time()
        clock = time.perf_counter()
        method = config.method
        factor = method.factor if isinstance(method, IdcConfig) else 1
        seed = integer_seed(context.seed, "distillation")
        first = start_images(
            private,
            config.images_per_class,
            init=config.init,
            public=context.public,
            factor=factor,
            seed=seed,
            device=context.device,
        )
        given = Learning(
            images=normalise(torch.from_numpy(np.array(private.images)).to(context.device)),
            labels=torch.from_numpy(np.array(private.classes)).to(context.device),
            classes=private.n_classes,
            images_per_class=config.images_per_class,
            start=first,
            operations=operations_of(flips=config.flips),
            net=config.net,
            seed=seed,
            stages=context.stages,
            progress=context.progress,
        )
        found = _distil(given, config)
        half = config.precision == "fp16"
        images: Float32Array = (found.images.half() if half else found.images).cpu().numpy()
        labels = np.repeat(np.arange(private.n_classes), config.images_per_class)
        release = SamplesRelease(
            card=self._card(private, found),
            images=images,
            soft_labels=np.eye(private.n_classes, dtype=np.float32)[labels],
        )
        roles = np.full(len(private), Role.TRAIN, dtype=np.int8)
        roles[first.rows] = Role.INIT
        record = BuildRecord(
            roles=roles,
            cpu_s=time.process_time() - start,
            wall_s=time.perf_counter() - clock,
        )
        return Build(releases={config.name: release}, record=record)

    def _card(self, private: ImageDataset, found: Distilled) -> Card:
        config = self.config
        settings = {f"method.{name}": str(value) for name, value in config.method}
        settings |= {f"found.{name}": value for name, value in found.settings.items()}
        settings |= {"net": str(config.net), "init": config.init}
        started = _STARTED[config.init]
        augmentation = ["dsa", "flip"] if config.flips else ["dsa"]
        return card_for(
            config,
            private,
            SamplesSpec(
                initial=started,
                factor=found.factor,
                recipe={"augmentation": augmentation, **found.recipe},
            ),
            settings=settings,
            statistics=(
                Statistic(name="pixels", value=f"learned, started from {started}", status="leak"),
            ),
        )


_STARTED = {"noise": "noise", "public": "public images", "real": "random private images"}
"""What the learned images were at first, as the card's numbers say it."""


def _distil(given: Learning, config: DistillationConfig) -> Distilled:
    match config.method:
        case DmConfig():
            return distil_dm(given, config.method)
        case DsaConfig():
            return distil_dsa(given, config.method)
        case MttConfig():
            return distil_mtt(given, config.method)
        case IdcConfig():
            return distil_idc(given, config.method)
