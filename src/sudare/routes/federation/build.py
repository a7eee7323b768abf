"""Builds a federation: who owns what, rounds of training, scores, values, payouts, statements."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import ndtri

from sudare.accounting.accountants import epsilon_of_history, epsilon_spent
from sudare.accounting.ledger import LedgerEntry
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.seeds import generator, integer_seed
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.nets.predict import normalise, predict
from sudare.releases.card import Card, Statistic
from sudare.releases.kinds.federation import FederationRelease, FederationSpec, Statement
from sudare.routes.base import Build, BuildRecord, Role, Route
from sudare.routes.context import BuildContext
from sudare.routes.federation.config import FederationConfig
from sudare.routes.federation.fedavg import Owner, Trained, federate, model_of
from sudare.routes.federation.partition import silos_of
from sudare.training.loop import TrainingData
from sudare.training.randomness import system_uniform
from sudare.valuation.contribution import coalitions, leave_one_out, shapley, ties
from sudare.valuation.payouts import RULES, Standing, pay
from sudare.valuation.scores import StreamingVog, input_gradients, plis

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FederationRoute", "RecordScores"]

_SCORED_ROUNDS = 5
_PUBLIC = 200
_DRAWS = 400
_UNIT_QUANTILE = 0.9


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
        release = FederationRelease(card=work.card(statements), state=state)
        record = BuildRecord(
            roles=np.full(len(private), Role.TRAIN, dtype=np.int8),
            cpu_s=time.process_time() - start,
            wall_s=time.perf_counter() - clock,
        )
        return Build(releases={self.config.name: release}, record=record)


class RecordScores:
    """A score of every record along the rounds: VoG, PLIS or the loss.

    Args:
        kind: ``vog``, ``plis`` or ``loss``.
        images: Normalised images.
        labels: Their classes.
    """

    def __init__(self, kind: str, images: torch.Tensor, labels: torch.Tensor) -> None:
        self._kind, self._images, self._labels = kind, images, labels
        self._vog, self._sum, self._count = StreamingVog(), np.zeros(len(images)), 0

    def add(self, net: torch.nn.Module) -> None:
        """One state of the net."""
        if not len(self._images):
            return
        net.eval()
        if self._kind == "vog":
            self._vog.add(input_gradients(net, self._images, self._labels))
        elif self._kind == "plis":
            found = plis(net, self._images, self._labels).flatten(1).norm(dim=1)
            self._sum += found.double().cpu().numpy()
        else:
            with torch.no_grad():
                losses = torch.nn.functional.cross_entropy(
                    net(self._images), self._labels, reduction="none"
                )
            self._sum += losses.double().cpu().numpy()
        self._count += 1

    def scores(self) -> FloatArray:
        """The score of each record: over the rounds its variation (VoG), else its mean."""
        if not len(self._images):
            return np.zeros(0)
        if self._kind == "vog":
            return self._vog.scores() if self._count > 1 else np.zeros(len(self._images))
        means: FloatArray = self._sum / max(1, self._count)
        return means


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
                Owner.of(
                    TrainingData.of(own.images, own.classes, device=context.device),
                    config.privacy,
                    rate=config.rate,
                    steps=config.rounds * config.local_steps,
                )
                if len(own)
                else None
            )

        def scored(data: ImageDataset) -> RecordScores:
            return RecordScores(
                config.valuation.score,
                normalise(torch.from_numpy(np.array(data.images)).to(context.device)),
                torch.from_numpy(np.array(data.classes)).to(context.device),
            )

        return cls(
            config=config,
            private=private,
            context=context,
            silos=silos,
            net=net,
            owners=owners,
            own_scores=scored(private),
            public_scores=scored(context.public[:_PUBLIC]),
        )

    def train(self) -> Trained:
        """All rounds; an owner without an image in this build sends nothing."""
        config = self.config
        present = [index for index, owner in enumerate(self.owners) if owner is not None]
        owners = [owner for owner in self.owners if owner is not None]
        sizes = torch.tensor([float(len(owner.data)) for owner in owners])
        every = max(1, config.rounds // _SCORED_ROUNDS)

        def after(number: int, net: torch.nn.Module) -> None:
            if number % every == 0 or number == config.rounds - 1:
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
        valuation, clients = self.config.valuation, self.config.clients
        records, scores = self._records_and_scores()
        right = self._right_answers(trained)
        worth = right.mean(axis=1)
        rng = generator(integer_seed(self.context.seed, "valuation"), "bootstrap")
        n = right.shape[1]
        draws = np.stack(
            [shapley(right[:, rng.integers(0, n, size=n)].mean(axis=1)) for _ in range(_DRAWS)]
        )
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        tied = ties(draws)
        standing = Standing(
            sizes=records,
            scores=scores,
            shapley=shapley(worth),
            leave_one_out=leave_one_out(worth),
        )
        payouts = {rule: pay(rule, standing, valuation.budget_cents) for rule in RULES}
        names = [f"owner {index + 1}" for index in range(clients)]
        return tuple(
            Statement(
                owner=names[index],
                epsilon=self._epsilon(index),
                delta=self.config.privacy.delta if self.config.privacy else 0.0,
                records=float(records[index]),
                score=float(scores[index]),
                shapley=float(standing.shapley[index]),
                shapley_low=float(low[index]),
                shapley_high=float(high[index]),
                leave_one_out=float(standing.leave_one_out[index]),
                tied_with=tuple(
                    names[other]
                    for other in range(clients)
                    if other != index and tied[index, other]
                ),
                payouts={rule: int(paid[index]) for rule, paid in payouts.items()},
            )
            for index in range(clients)
        )

    def _records_and_scores(self) -> tuple[FloatArray, FloatArray]:
        """Number of records and their mean score, each owner's; noised where that is promised."""
        valuation = self.config.valuation
        # The unit is the score that nine of ten public images stay below: no private number.
        known = self.public_scores.scores()
        unit = float(np.quantile(known, _UNIT_QUANTILE)) if len(known) else 1.0
        each = np.clip(self.own_scores.scores() / max(unit, 1e-12), 0.0, valuation.clip)
        clients = self.config.clients
        counts = np.bincount(self.silos, minlength=clients).astype(np.float64)
        sums = np.bincount(self.silos, weights=each, minlength=clients)
        if self.config.privacy is not None:
            noise = self._noise(2 * clients).reshape(2, clients)
            counts = counts + valuation.noise * noise[0]
            sums = sums + valuation.noise * valuation.clip * noise[1]
        means = np.clip(sums / np.maximum(counts, 1.0), 0.0, valuation.clip)
        return np.maximum(counts, 0.0), means

    def _noise(self, count: int) -> FloatArray:
        """Standard normal numbers; the operating system's for what leaves."""
        if not self.context.leaves:
            return generator(self.context.seed, "released scores").standard_normal(count)
        drawn: FloatArray = ndtri(system_uniform(count))
        return drawn

    def _right_answers(self, trained: Trained) -> FloatArray:
        """For every coalition, whether its model is right about each public image."""
        public, clients = self.context.public, self.config.clients
        if not len(public):
            return np.zeros((2**clients, 1))
        found, net = [], self.net
        whole = trained.final()
        for coalition in coalitions(clients):
            present = [c for c in coalition if float(trained.weights[c]) > 0]
            model_of(net, trained.final(present))
            answers = predict(net, public.images, device=self.context.device).argmax(axis=1)
            found.append((answers == public.classes).astype(np.float64))
        model_of(net, whole)
        return np.stack(found)

    def _history(self, index: int) -> tuple[tuple[float, float, int], ...]:
        owner = self.owners[index]
        noise = self.config.valuation.noise
        released = (noise, 1.0, 2)
        if owner is None:
            return (released,)
        steps = self.config.rounds * self.config.local_steps
        return ((owner.noise_multiplier, owner.rate, steps), released)

    def _epsilon(self, index: int) -> float | None:
        """Of training and released scores together, composed as a whole."""
        if self.config.privacy is None:
            return None
        return epsilon_of_history(self._history(index), delta=self.config.privacy.delta)

    def _ledger(self, statements: Sequence[Statement]) -> tuple[LedgerEntry, ...]:
        """The books of the owner who spends most: no record is in two of them."""
        if self.config.privacy is None:
            return ()
        most = max(range(len(statements)), key=lambda index: statements[index].epsilon or 0.0)
        delta = self.config.privacy.delta
        purposes = ("training", "released number of records and sum of scores")
        return tuple(
            LedgerEntry(
                purpose=purposes[-1] if rate == 1.0 and steps == 2 else purposes[0],
                mechanism="Poisson-subsampled Gaussian" if rate < 1 else "Gaussian",
                noise_multiplier=sigma,
                sample_rate=rate,
                steps=steps,
                delta=delta,
                epsilon=epsilon_spent(sigma, sample_rate=rate, steps=steps, delta=delta),
            )
            for sigma, rate, steps in self._history(most)
        )

    def card(self, statements: tuple[Statement, ...]) -> Card:
        """The card."""
        config = self.config
        settings = {f"recipe.{name}": str(value) for name, value in config.recipe}
        for name in ("clients", "partition", "local_steps", "rate", "weights"):
            settings[name] = str(getattr(config, name))
        statistics, guarantee = [], ""
        if config.privacy is None:
            told = "every update and each owner's number of records and mean score"
            statistics.append(Statistic(name="updates", value=told, status="leak"))
        else:
            epsilon = max(statement.epsilon or 0.0 for statement in statements)
            guarantee = (
                f"({epsilon:.2f}, {config.privacy.delta:g})-differential privacy for adding or "
                "removing one image of one owner, towards server and recipients: training and "
                "released scores composed (PRV upper bound); a person at two owners counts twice"
            )
            statistics.append(
                Statistic(name="records and scores", value="Gaussian noise", status="noised")
            )
        if config.weights == "size":
            statistics.append(
                Statistic(name="sizes of owners", value="weights of the average", status="leak")
            )
        if not len(self.context.public):
            settings["values"] = "not measured: no public images"
        return Card(
            kind=FederationRelease.kind,
            spec=FederationSpec(
                net=config.net,
                rounds=config.rounds,
                rule=config.valuation.rule,
                budget_cents=config.valuation.budget_cents,
                score=config.valuation.score,
                statements=statements,
            ),
            route=config.kind,
            title=config.label,
            what_leaves=config.what_leaves,
            class_names=self.private.class_names,
            image_shape=self.private.image_shape,
            settings=settings,
            statistics=tuple(statistics),
            ledger=self._ledger(statements),
            guarantee=guarantee,
            data_name=self.private.name,
            data_licence=self.private.licence,
        )
