"""Builds a federation in one process: the coordinator over owners in memory."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping

import numpy as np
import torch
from scipy.special import ndtri

from sudare.core.arrays import FloatArray
from sudare.core.seeds import generator, integer_seed
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.routes.base import Build, BuildRecord, Role, Route
from sudare.routes.context import BuildContext
from sudare.routes.federation.config import FederationConfig
from sudare.routes.federation.coordinator import Coordinator, Terms
from sudare.routes.federation.fedavg import model_of, round_seed
from sudare.routes.federation.owner import Owner, RecordScores, local_update, noise_of, told
from sudare.routes.federation.partition import silos_of
from sudare.training.loop import TrainingData
from sudare.training.randomness import system_uniform


class FederationRoute(Route[FederationConfig]):
    """Record-level DP-SGD at each owner, federated averaging, values and payouts.

    Source:
        Usynin, Rueckert and Kaissis 2024, "Incentivising the federation: gradient-based metrics
        for data selection and valuation in private decentralised training"; of it the first page
        could be read, what is ours is said in ``docs/routes/federation``.
    """

    def _build(self, private: ImageDataset, context: BuildContext) -> Build:
        start, clock = time.process_time(), time.perf_counter()
        config = self.config
        net = build_net(
            config.net,
            image_shape=private.image_shape,
            n_classes=private.n_classes,
            seed=integer_seed(context.seed, "weights"),
        ).to(context.device)
        owners = OwnersInMemory(config, private, net, context)
        terms = Terms(
            config=config,
            names=owners.names,
            sigma=noise_of(config),
            seed=context.seed,
            weights=owners.sizes if config.weights == "size" else None,
        )
        coordinator = Coordinator(
            terms, net, context.public, owners, context.progress, device=context.device
        )
        release = coordinator.release(private)
        record = BuildRecord(
            roles=np.full(len(private), Role.TRAIN, dtype=np.int8),
            cpu_s=time.process_time() - start,
            wall_s=time.perf_counter() - clock,
        )
        return Build(releases={config.name: release}, record=record)


class OwnersInMemory:
    """Owners whose images lie in this process, as a rehearsal and an audit have them.

    Args:
        config: The federation.
        private: All images; who owns which follows from ``config.partition``.
        net: The common net; a copy of it takes the steps.
        context: Seed, device, and whether the noise is the system's.
    """

    def __init__(
        self,
        config: FederationConfig,
        private: ImageDataset,
        net: torch.nn.Module,
        context: BuildContext,
    ) -> None:
        self._config, self._private, self._context = config, private, context
        self._net = copy.deepcopy(net)
        self._silos = silos_of(private, clients=config.clients, partition=config.partition)
        self.names = [f"owner {index + 1}" for index in range(config.clients)]
        parts = [private[self._silos == silo] for silo in range(config.clients)]
        self.sizes = torch.tensor([float(len(own)) for own in parts])
        self._owners = {
            name: Owner.of(TrainingData.of(own.images, own.classes, device=context.device), config)
            for name, own in zip(self.names, parts, strict=True)
            if len(own)
        }

    def updates(self, number: int, weights: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Each owner's update of a round; an owner without an image in this build sends none."""
        config, context = self._config, self._context
        seed = None if context.leaves else integer_seed(context.seed, "federation")
        return {
            name: local_update(
                model_of(self._net, weights),
                owner,
                config.recipe,
                config.privacy,
                steps=config.local_steps,
                seed=round_seed(seed, number, index),
            )
            for index, (name, owner) in enumerate(self._owners.items())
        }

    def scores(self, states: torch.Tensor, unit: float) -> Mapping[str, tuple[float, float]]:
        """Number of records and mean score of each owner, noised where that is promised."""
        valuation, own = self._config.valuation, self._private
        device = self._context.device
        known = RecordScores(valuation.score, own.images, own.classes, device=device)
        for state in states:
            known.add(model_of(self._net, state))
        each = known.scores()
        return {
            name: told(
                each[self._silos == index],
                unit=unit,
                valuation=valuation,
                normal=self._noise(index) if self._config.privacy else None,
            )
            for index, name in enumerate(self.names)
        }

    def _noise(self, index: int) -> FloatArray:
        """Two standard normal numbers; the operating system's for what leaves."""
        if not self._context.leaves:
            return generator(self._context.seed, "released scores", index).standard_normal(2)
        drawn: FloatArray = ndtri(system_uniform(2))
        return drawn
