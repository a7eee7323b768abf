"""Federated averaging over owners who may be anywhere: rounds, values, payouts, the release."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from sudare.core.errors import DataError
from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.nets.weights import state_of
from sudare.releases.card import Card
from sudare.releases.kinds.federation import FederationRelease, Statement
from sudare.routes.federation.config import FederationConfig
from sudare.routes.federation.fedavg import Trained, averaged, model_of
from sudare.routes.federation.owner import RecordScores, flattened
from sudare.routes.federation.settlement import (
    PUBLIC_SCORED,
    OwnerReport,
    card_of,
    right_answers,
    scored_rounds,
    statements_of,
    unit_of,
)


@dataclass(frozen=True)
class Refused:
    """An owner gave no answer, and why: what goes after its name."""

    reason: str


class Owners(Protocol):
    """How a coordinator reaches the owners. Who does not answer in time is `Refused` as well."""

    def updates(
        self, number: int, weights: torch.Tensor
    ) -> Mapping[str, torch.Tensor | Refused | None]:
        """Each owner's update of a round."""

    def scores(
        self, states: torch.Tensor, unit: float
    ) -> Mapping[str, tuple[float, float] | Refused]:
        """Number of records and mean score, as each owner says."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """What a federation runs by.

    Attributes:
        config: Net, rounds, privacy, values.
        names: The owners, in the order in which updates are added up.
        sigma: Noise multiplier of each step; 0 without a promise.
        seed: Of the bootstrap over public images.
        rehearsed: Whether the noise follows from a seed that others hold: nothing is promised.
        weights: Of the average, ``[k]``; None where all weigh the same.
    """

    config: FederationConfig
    names: Sequence[str]
    sigma: float
    seed: int
    rehearsed: bool = False
    weights: torch.Tensor | None = None


class Coordinator:
    """Averages updates, then values owners, pays and states: the only engine there is.

    Each round every owner starts at the common weights and sends by how much its own steps moved
    them; the server adds the average. A round without an owner's update goes on with the others.

    Args:
        terms: What it runs by.
        net: The common net with its first weights; trained in place.
        public: Public images, on which owners' worth is measured.
        owners: How to reach them.
        progress: Where to report.
        device: Where to compute.

    Source:
        McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized
        data", algorithm 1; record-level privacy within each silo as in Liu et al. 2022.
    """

    def __init__(
        self,
        terms: Terms,
        net: torch.nn.Module,
        public: ImageDataset,
        owners: Owners,
        progress: Progress,
        *,
        device: str = "cpu",
    ) -> None:
        self.terms, self._net, self._public = terms, net, public
        self._owners, self._progress, self._device = owners, progress, device

    def train(self) -> tuple[Trained, list[torch.Tensor]]:
        """All rounds.

        Returns:
            What each owner sent, and the common weights after the rounds that are scored.

        Raises:
            DataError: No owner answered, or the weights are not finite any more.
        """
        config = self.terms.config
        here = start = self._kept("start", lambda: flattened(self._net))
        equal = torch.ones(len(self.terms.names))
        weights = (equal if self.terms.weights is None else self.terms.weights).to(here)
        updates, shares, states = [], [], []
        with self._progress.stage("rounds", config.rounds) as bar:
            for number in range(config.rounds):

                def asked(number: int = number, here: torch.Tensor = here) -> torch.Tensor:
                    return self._checked(number, self._owners.updates(number, here), here)

                sent = self._kept(f"{number:04d}", asked)
                updates.append(sent)
                # Who gave no valid update in this round counts for nothing.
                there = sent.any(dim=1).to(weights) * weights
                shares.append(there / there.sum())
                here = averaged(here, sent, shares[-1])
                if number in scored_rounds(config.rounds):
                    states.append(here)
                bar.advance()
        trained = Trained(start=start, updates=torch.stack(updates), weights=torch.stack(shares))
        return trained, states

    def release(self, like: ImageDataset) -> FederationRelease:
        """Rounds, scores, values, payouts, statements, and the net that all owners made.

        Args:
            like: Images of the same classes and shape, whose name and licence the card gives.
        """
        terms, config = self.terms, self.terms.config
        trained, states = self.train()
        scored = self._public[:PUBLIC_SCORED]
        known = RecordScores(
            config.valuation.score, scored.images, scored.classes, device=self._device
        )
        for state in states:
            known.add(model_of(self._net, state))
        said = self._owners.scores(torch.stack(states), unit_of(known.scores()))
        right = right_answers(self._net, trained, self._public, device=self._device)
        statements = statements_of(
            config,
            right,
            [
                self._told(name, said.get(name), trained=bool(sent.any()))
                for name, sent in zip(terms.names, trained.updates.unbind(dim=1), strict=True)
            ],
            sigma=terms.sigma,
            seed=terms.seed,
            seeded=terms.rehearsed,
        )
        # The last round is among those that are scored.
        model_of(self._net, states[-1])
        return FederationRelease(card=self._card(statements, like), state=state_of(self._net))

    def _card(self, statements: tuple[Statement, ...], like: ImageDataset) -> Card:
        valued, rehearsed = bool(len(self._public)), self.terms.rehearsed
        return card_of(self.terms.config, statements, like=like, valued=valued, rehearsed=rehearsed)

    def _checked(
        self, number: int, sent: Mapping[str, torch.Tensor | Refused | None], here: torch.Tensor
    ) -> torch.Tensor:
        """The updates in the order of the owners, so that their sum has one order; 0 for none."""
        rows = [self._update(number, name, sent.get(name), here) for name in self.terms.names]
        if not any(bool(row.any()) for row in rows):
            raise DataError(f"no owner answered round {number}")
        return torch.stack(rows)

    def _update(
        self, number: int, name: str, sent: torch.Tensor | Refused | None, here: torch.Tensor
    ) -> torch.Tensor:
        """One owner's update; zeros where there is none."""
        return sent if isinstance(sent, torch.Tensor) else torch.zeros_like(here)

    def _told(
        self, name: str, said: tuple[float, float] | Refused | None, *, trained: bool
    ) -> OwnerReport:
        """What an owner says of itself, and whether any of its records was trained on."""
        records, score = said if isinstance(said, tuple) else (0.0, 0.0)
        return OwnerReport(name=name, records=records, score=score, trained=trained)

    def _kept(self, name: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Weights and updates; whoever must go on after a fall keeps them."""
        return make()
