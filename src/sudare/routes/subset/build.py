"""Builds the real subset."""

from __future__ import annotations

import time

import numpy as np

from sudare.core.arrays import IntArray
from sudare.core.errors import DataError
from sudare.core.seeds import generator
from sudare.data.images import ImageDataset
from sudare.releases.card import Card, Statistic
from sudare.releases.kinds import SamplesRelease, SamplesSpec
from sudare.routes.base import Build, BuildRecord, Role, Route, card_for
from sudare.routes.context import BuildContext
from sudare.routes.subset.config import SubsetConfig


class SubsetRoute(Route[SubsetConfig]):
    """Draws k images of each class, or as many from all, without replacement."""

    def _build(self, private: ImageDataset, context: BuildContext) -> Build:
        start = time.process_time()
        rng = generator(context.seed, "subset")
        rows = np.sort(self._chosen(private, rng))
        # Shuffled: the order of the released images must not tell their order in the pool.
        rows = rng.permutation(rows)
        roles = np.zeros(len(private), dtype=np.int8)
        roles[rows] = Role.RELEASED
        soft = np.eye(private.n_classes, dtype=np.float32)[private.classes[rows]]
        release = SamplesRelease(
            card=self._card(private), images=private.images[rows], soft_labels=soft
        )
        record = BuildRecord(roles=roles, cpu_s=time.process_time() - start)
        return Build(releases={self.config.name: release}, record=record)

    def _chosen(self, private: ImageDataset, rng: np.random.Generator) -> IntArray:
        wanted = self.config.images_per_class
        groups = {
            f"class {name!r}": private.classes == c for c, name in enumerate(private.class_names)
        }
        if self.config.classes == "shares":
            wanted *= private.n_classes
            groups = {"the collection": np.ones(len(private), dtype=bool)}
        chosen = []
        for name, own in groups.items():
            members = np.flatnonzero(own)
            if len(members) < wanted:
                raise DataError(
                    f"{name} has {len(members)} images in this build, {wanted} are wanted",
                    where=private.name,
                    fix="Lower images_per_class, or enlarge the pool.",
                )
            chosen.append(rng.choice(members, size=wanted, replace=False))
        return np.concatenate(chosen)

    def _card(self, private: ImageDataset) -> Card:
        return card_for(
            self.config,
            private,
            SamplesSpec(),
            settings={
                "images_per_class": str(self.config.images_per_class),
                "classes": self.config.classes,
            },
            statistics=(Statistic(name="pixels", value="real private images", status="leak"),),
        )
