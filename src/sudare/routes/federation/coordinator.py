"""The server's side of a job: rounds, values, payouts, the release; over any transport."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from sudare.core.errors import DataError
from sudare.core.files import atomic_write
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.releases.kinds.federation import FederationRelease
from sudare.releases.store import write_release
from sudare.routes.federation.books import (
    PUBLIC_SCORED,
    Told,
    card_of,
    right_answers,
    scored_rounds,
    statements_of,
    unit_of,
)
from sudare.routes.federation.fedavg import Trained, averaged, model_of
from sudare.routes.federation.job import Job
from sudare.routes.federation.owner import RecordScores, flattened

__all__ = ["Coordinator", "Owners"]


class Owners(Protocol):
    """How a coordinator reaches the owners."""

    def updates(self, number: int, weights: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Each owner's update of a round."""

    def scores(self, states: torch.Tensor, unit: float) -> Mapping[str, Told]:
        """What each owner says of its records."""

    def tell(self, statements: Mapping[str, str]) -> None:
        """Hand each owner its statement."""


class Coordinator:
    """Runs a job. Every round is kept, so a job that was cut off goes on at its last whole one.

    Args:
        job: What was agreed on.
        folder: The server's own folder: first weights, rounds, and the release in the end.
        public: Public images, on which owners' worth is measured.
        owners: How to reach them.
        progress: Where to report.
    """

    def __init__(
        self, job: Job, folder: Path, public: ImageDataset, owners: Owners, progress: Progress
    ) -> None:
        self._job, self._folder, self._public = job, folder, public
        self._owners, self._progress = owners, progress
        self._net = build_net(
            job.federation.net,
            image_shape=job.image_shape,
            n_classes=len(job.class_names),
            seed=secrets.randbits(31) if job.seed is None else integer_seed(job.seed, "weights"),
        )

    def run(self) -> Path:
        """All rounds, the books, and the release; where the release lies.

        Raises:
            DataError: An owner sends what is no update, or refuses.
        """
        target = self._folder / "release"
        if target.exists():
            return target
        trained, states = self._train()
        config, scored = self._job.federation, self._public[:PUBLIC_SCORED]
        known = RecordScores(config.valuation.score, scored.images, scored.classes, device="cpu")
        for state in states:
            known.add(model_of(self._net, state))
        said = self._owners.scores(torch.stack(states), unit_of(known.scores()))
        right = right_answers(self._net, trained, self._public, device="cpu")
        statements = statements_of(
            config,
            right,
            [said[owner] for owner in self._job.owners],
            seed=secrets.randbits(31) if self._job.seed is None else self._job.seed,
        )
        card = card_of(
            config,
            statements,
            like=self._public,
            valued=bool(len(self._public)),
            rehearsed=self._job.seed is not None,
        ).model_copy(update={"data_name": f"images of {len(statements)} owners"})
        final = {n: v.detach().clone() for n, v in self._net.state_dict().items()}
        write_release(FederationRelease(card=card, state=final), target)
        self._owners.tell({told.owner: told.model_dump_json() for told in statements})
        return target

    def _train(self) -> tuple[Trained, list[torch.Tensor]]:
        config = self._job.federation
        here = start = self._kept("start", lambda: flattened(self._net))
        shares = torch.full((len(self._job.owners),), 1 / len(self._job.owners))
        updates, states = [], []
        with self._progress.stage("rounds", config.rounds) as bar:
            for number in range(config.rounds):

                def asked(number: int = number, here: torch.Tensor = here) -> torch.Tensor:
                    return self._checked(self._owners.updates(number, here), here)

                sent = self._kept(f"rounds/{number:04d}", asked)
                updates.append(sent)
                here = averaged(here, sent, shares)
                if number in scored_rounds(config.rounds):
                    states.append(here)
                bar.advance()
        return Trained(start=start, updates=torch.stack(updates), weights=shares), states

    def _checked(self, sent: Mapping[str, torch.Tensor], like: torch.Tensor) -> torch.Tensor:
        """The updates in the job's order of owners, so that their sum has one order."""
        for owner, update in sent.items():
            if update.shape != like.shape or update.dtype != like.dtype:
                raise DataError(f"{owner} sent an update of shape {tuple(update.shape)}")
            if not bool(torch.isfinite(update).all()):
                raise DataError(f"{owner} sent an update that is not finite")
        return torch.stack([sent[owner] for owner in self._job.owners])

    def _kept(self, name: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        path = self._folder / f"{name}.safetensors"
        if not path.exists():
            atomic_write(path, save_tensors({"tensor": make()}))
        return load_tensors(path.read_bytes())["tensor"]
