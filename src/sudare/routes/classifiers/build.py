"""Trains one net on the private images, with DP-SGD where there is a budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sudare.accounting.ledger import LedgerEntry
from sudare.core.seeds import integer_seed
from sudare.core.wording import say
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.nets.registry import NetConfig
from sudare.nets.weights import state_of
from sudare.releases.card import Card, Statistic
from sudare.releases.kinds import ClassifierRelease, ClassifierSpec
from sudare.routes.base import Build, BuildRecord, Role, Route, card_for
from sudare.routes.classifiers.config import ClassifierConfig
from sudare.routes.config import RouteConfig
from sudare.routes.context import BuildContext
from sudare.training.dpsgd import train_private
from sudare.training.loop import Learner, TrainingData, TrainingRecord, train_lanes
from sudare.training.recipe import Recipe


class ClassifierRoute(Route[ClassifierConfig]):
    """Trains one net: plain, on smoothed labels, with DP-SGD, or a head on public features.

    Source:
        Struppek, Hintersdorf and Kersting 2024, "Be careful what you smooth for" (smoothing);
        Abadi et al. 2016, "Deep learning with differential privacy" (DP-SGD; expected batches
        divide by the expected size).
    """

    def _build(self, private: ImageDataset, context: BuildContext) -> Build:
        if self.config.budget is None:
            return self._build_many([private], [context])[0]
        net, data = self._net(private, context), _data(private, context)
        record, entry = train_private(
            net,
            data,
            self.config.trained_by,
            self.config.budget,
            seed=None if context.leaves else _seed(context),
            progress=context.progress,
            label=self.config.label,
        )
        return self._made(net, private, record, ledger=(entry,))

    def _build_many(
        self, privates: Sequence[ImageDataset], contexts: Sequence[BuildContext]
    ) -> list[Build]:
        if self.config.budget is not None:
            return super()._build_many(privates, contexts)
        pairs = list(zip(privates, contexts, strict=True))
        learners = [
            Learner(
                net=self._net(private, context), data=_data(private, context), seed=_seed(context)
            )
            for private, context in pairs
        ]
        records: dict[int, TrainingRecord] = {}
        # Builds that learn at once take their steps together, so they need equally many images.
        for size in sorted({len(learner.data) for learner in learners}):
            rows = [row for row, learner in enumerate(learners) if len(learner.data) == size]
            trained = train_lanes(
                [learners[row] for row in rows],
                self.config.trained_by,
                progress=contexts[rows[0]].progress,
                label=self.config.label,
            )
            records |= dict(zip(rows, trained, strict=True))
        return [
            self._made(learner.net, private, records[row])
            for row, (learner, private) in enumerate(zip(learners, privates, strict=True))
        ]

    def _net(self, private: ImageDataset, context: BuildContext) -> torch.nn.Module:
        return build_net(
            self.config.net,
            image_shape=private.image_shape,
            n_classes=private.n_classes,
            seed=integer_seed(context.seed, "weights"),
        ).to(context.device)

    def _made(
        self,
        net: torch.nn.Module,
        private: ImageDataset,
        record: TrainingRecord,
        *,
        ledger: tuple[LedgerEntry, ...] = (),
    ) -> Build:
        config = self.config
        card = _card(config, config.net, config.trained_by, private, ledger)
        state = state_of(net)
        return Build(
            releases={config.name: ClassifierRelease(card=card, state=state)},
            record=_record(record, len(private)),
        )


def _data(private: ImageDataset, context: BuildContext) -> TrainingData:
    return TrainingData.of(
        private.images, private.classes, device=context.device, groups=private.groups
    )


def _seed(context: BuildContext) -> int:
    return integer_seed(context.seed, "training")


def _record(training: TrainingRecord, n: int) -> BuildRecord:
    return BuildRecord(
        roles=np.full(n, Role.TRAIN, dtype=np.int8),
        loss_trace=training.loss_trace,
        cpu_s=training.cpu_s,
        wall_s=training.wall_s,
    )


def _card(
    config: RouteConfig,
    net: NetConfig,
    recipe: Recipe,
    private: ImageDataset,
    ledger: tuple[LedgerEntry, ...],
) -> Card:
    settings = {f"recipe.{name}": str(value) for name, value in recipe.model_dump().items()}
    guarantee = ""
    if ledger:
        epsilon, delta = sum(e.epsilon for e in ledger), sum(e.delta for e in ledger)
        guarantee = say("guarantee.dpsgd", epsilon=f"{epsilon:.2f}", delta=f"{delta:g}")
    return card_for(
        config,
        private,
        ClassifierSpec(net=net),
        settings=settings,
        # The sampling rate or the number of steps gives the size of the private set away.
        statistics=(
            Statistic(name="size of the private set", value="implied by the steps", status="leak"),
        ),
        ledger=ledger,
        guarantee=guarantee,
    )
