"""Builds a federation: who owns what, rounds of training, scores, values, payouts, statements."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import ndtri

from sudare.core.arrays import FloatArray, IntArray
from sudare.core.seeds import generator, integer_seed
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.releases.kinds.federation import FederationRelease, Statement
from sudare.routes.base import Build, BuildRecord, Role, Route
from sudare.routes.context import BuildContext
from sudare.routes.federation.config import FederationConfig
from sudare.routes.federation.fedavg import Trained, federate
from sudare.routes.federation.owner import Owner, RecordScores, told
from sudare.routes.federation.partition import silos_of
from sudare.routes.federation.settlement import (
    PUBLIC_SCORED,
    OwnerReport,
    card_of,
    right_answers,
    scored_rounds,
    statements_of,
    unit_of,
)
from sudare.training.loop import TrainingData
from sudare.training.randomness import system_uniform

if TYPE_CHECKING:
    pass


class FederationRoute(Route[FederationConfig]):
    """Record-level DP-SGD at each owner, federated averaging, values and payouts.

    Source:
        Usynin, Rueckert and Kaissis 2024, "Incentivising the federation: gradient-based metrics
        for data selection and valuation in private decentralised training"; of it the first page
        could be read, what is ours is said in ``docs/routes/federation``.
    """

    def _build(self, private: ImageDataset, context: BuildContext) -> Build:
        start, clock = time.process_time(), time.perf_counter()
        work = _Federation.of(self.config, private, context)
        trained = work.train()
        state = {n: v.detach().cpu().clone() for n, v in work.net.state_dict().items()}
        statements = work.statements(trained)
        card = card_of(self.config, statements, like=private, valued=bool(len(context.public)))
        release = FederationRelease(card=card, state=state)
        record = BuildRecord(
            roles=np.full(len(private), Role.TRAIN, dtype=np.int8),
            cpu_s=time.process_time() - start,
            wall_s=time.perf_counter() - clock,
        )
        return Build(releases={self.config.name: release}, record=record)


@dataclass(kw_only=True, eq=False)
class _Federation:
    """One federation at work."""

    config: FederationConfig
    private: ImageDataset
    context: BuildContext
    silos: IntArray
    net: torch.nn.Module
    owners: list[Owner | None]
    own_scores: RecordScores
    public_scores: RecordScores

    @classmethod
    def of(
        cls, config: FederationConfig, private: ImageDataset, context: BuildContext
    ) -> _Federation:
        silos = silos_of(private, clients=config.clients, partition=config.partition)
        net = build_net(
            config.net,
            image_shape=private.image_shape,
            n_classes=private.n_classes,
            seed=integer_seed(context.seed, "weights"),
        ).to(context.device)
        owners: list[Owner | None] = []
        for silo in range(config.clients):
            own = private[silos == silo]
            owners.append(
                Owner.of(TrainingData.of(own.images, own.classes, device=context.device), config)
                if len(own)
                else None
            )

        def scored(data: ImageDataset) -> RecordScores:
            return RecordScores(
                config.valuation.score, data.images, data.classes, device=context.device
            )

        return cls(
            config=config,
            private=private,
            context=context,
            silos=silos,
            net=net,
            owners=owners,
            own_scores=scored(private),
            public_scores=scored(context.public[:PUBLIC_SCORED]),
        )

    def train(self) -> Trained:
        """All rounds; an owner without an image in this build sends nothing."""
        config = self.config
        present = [index for index, owner in enumerate(self.owners) if owner is not None]
        owners = [owner for owner in self.owners if owner is not None]
        sizes = torch.tensor([float(len(owner.data)) for owner in owners])
        scored = scored_rounds(config.rounds)

        def after(number: int, net: torch.nn.Module) -> None:
            if number in scored:
                self.own_scores.add(net)
                self.public_scores.add(net)
                net.train()

        trained = federate(
            self.net,
            owners,
            config.recipe,
            config.privacy,
            rounds=config.rounds,
            local_steps=config.local_steps,
            weights=sizes if config.weights == "size" else torch.ones(len(owners)),
            seed=None if self.context.leaves else integer_seed(self.context.seed, "federation"),
            progress=self.context.progress,
            after_round=after,
        )
        if len(present) == config.clients:
            return trained
        updates = trained.updates.new_zeros(config.rounds, config.clients, len(trained.start))
        weights = trained.weights.new_zeros(config.clients)
        updates[:, present], weights[present] = trained.updates, trained.weights
        return Trained(start=trained.start, updates=updates, weights=weights)

    def statements(self, trained: Trained) -> tuple[Statement, ...]:
        """What each owner is told."""
        config, context = self.config, self.context
        right = right_answers(self.net, trained, context.public, device=context.device)
        scores = self.own_scores.scores()
        unit = unit_of(self.public_scores.scores())
        owners = []
        for index, owner in enumerate(self.owners):
            records, score = told(
                scores[self.silos == index],
                unit=unit,
                valuation=config.valuation,
                normal=self._noise(index) if config.privacy else None,
            )
            name = f"owner {index + 1}"
            owners.append(
                OwnerReport(name=name, records=records, score=score, trained=owner is not None)
            )
        sigma = next((o.noise_multiplier for o in self.owners if o is not None), 0.0)
        return statements_of(config, right, owners, sigma=sigma, seed=context.seed)

    def _noise(self, index: int) -> FloatArray:
        """Two standard normal numbers; the operating system's for what leaves."""
        if not self.context.leaves:
            return generator(self.context.seed, "released scores", index).standard_normal(2)
        drawn: FloatArray = ndtri(system_uniform(2))
        return drawn
