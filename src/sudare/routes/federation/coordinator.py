"""The server's side of a job: rounds, values, payouts, the release; over any transport."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from sudare.core.errors import DataError
from sudare.core.files import atomic_write
from sudare.core.kept import keep_tensor, kept_tensor
from sudare.core.printable import escaped
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.releases.kinds.federation import FederationRelease, FederationSpec
from sudare.releases.store import read_card, write_release
from sudare.routes.federation.fedavg import Trained, averaged, model_of
from sudare.routes.federation.job import Job
from sudare.routes.federation.owner import RecordScores, flattened
from sudare.routes.federation.ranges import wrong_scores, wrong_update
from sudare.routes.federation.settlement import (
    PUBLIC_SCORED,
    OwnerReport,
    card_of,
    right_answers,
    scored_rounds,
    statements_of,
    unit_of,
)

_SKIPPED, _TOLD = "skipped.json", "told.json"


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

    def tell(self, statements: Mapping[str, str]) -> set[str]:
        """Hand each owner its statement; the names of those who took it."""


def rounds_folder(folder: Path) -> Path:
    """Where the rounds of a server's folder lie."""
    return folder / "rounds"


class Coordinator:
    """Runs a job. Every round is kept, so a job that was cut off goes on at its last whole one.

    What an owner sends is held against the range an honest one stays in; who is out of it is
    refused in its own name before model and books see it. Then the job ends or goes on without
    that update, as `Job.missing` says.

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
            DataError: An owner sends what an honest one would not, or refuses.
        """
        target = self._folder / "release"
        if not target.exists():
            write_release(self._built(), target)
        self._tell(target)
        return target

    def _built(self) -> FederationRelease:
        """The release: rounds, scores, values, statements."""
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
            [self._told(owner, said.get(owner)) for owner in self._job.owners],
            sigma=self._job.noise_multiplier,
            seed=secrets.randbits(31) if self._job.seed is None else self._job.seed,
            seeded=self._job.seed is not None,
        )
        card = card_of(
            config,
            statements,
            like=self._public,
            valued=bool(len(self._public)),
            rehearsed=self._job.seed is not None,
        ).model_copy(update={"data_name": f"images of {len(statements)} owners"})
        final = {n: v.detach().clone() for n, v in self._net.state_dict().items()}
        return FederationRelease(card=card, state=final)

    def _tell(self, release: Path) -> None:
        """Hand statements to the owners who have none yet."""
        spec, path = read_card(release).spec, self._folder / _TOLD
        told = set(json.loads(path.read_text())) if path.exists() else set()
        assert isinstance(spec, FederationSpec)
        left = {s.owner: s.model_dump_json() for s in spec.statements if s.owner not in told}
        if left:
            told |= self._owners.tell(left)
            atomic_write(path, json.dumps(sorted(told)))
            missing = ", ".join(owner for owner in left if owner not in told)
            if missing:
                self._progress.say(f"No statement was taken by {missing}; serve the job again.")

    def _train(self) -> tuple[Trained, list[torch.Tensor]]:
        config = self._job.federation
        here = start = self._kept(self._folder / "start", lambda: flattened(self._net))
        updates, shares, states = [], [], []
        with self._progress.stage("rounds", config.rounds) as bar:
            for number in range(config.rounds):

                def asked(number: int = number, here: torch.Tensor = here) -> torch.Tensor:
                    return self._checked(number, self._owners.updates(number, here), here)

                sent = self._kept(rounds_folder(self._folder) / f"{number:04d}", asked)
                updates.append(sent)
                # All weigh the same but for who gave no valid update in this round.
                there = sent.any(dim=1).to(sent)
                shares.append(there / there.sum())
                here = averaged(here, sent, shares[-1])
                if number in scored_rounds(config.rounds):
                    states.append(here)
                bar.advance()
        trained = Trained(start=start, updates=torch.stack(updates), weights=torch.stack(shares))
        return trained, states

    def _checked(
        self, number: int, sent: Mapping[str, torch.Tensor | Refused | None], here: torch.Tensor
    ) -> torch.Tensor:
        """The updates in the job's order of owners, so that their sum has one order."""
        rows = []
        for owner in self._job.owners:
            update = sent.get(owner)
            wrong = (
                update.reason
                if isinstance(update, Refused)
                else wrong_update(self._job, here, update)
            )
            if wrong or not isinstance(update, torch.Tensor):
                self._without(owner, f"round {number}", wrong)
                update = torch.zeros_like(here)
            rows.append(update)
        if not any(bool(row.any()) for row in rows):
            raise DataError(f"no owner answered round {number}")
        return torch.stack(rows)

    def _told(self, owner: str, said: tuple[float, float] | Refused | None) -> OwnerReport:
        """What an owner says of itself, or that it said nothing to go by."""
        if isinstance(said, tuple):
            wrong = wrong_scores(self._job, *said)
        else:
            wrong = "sent no scores" if said is None else said.reason
        if wrong:
            self._without(owner, "scores", wrong)
        records, score = said if isinstance(said, tuple) and not wrong else (0.0, 0.0)
        skipped = sum(what.startswith("round") for what in self._skipped().get(owner, {}))
        return OwnerReport(name=owner, records=records, score=score, skipped=skipped)

    def _without(self, owner: str, what: str, why: str) -> None:
        """Go on without an owner's answer, if the job says so.

        Raises:
            DataError: It says to wait.
        """
        if self._job.missing == "wait":
            raise DataError(
                f"{owner} {escaped(why)} ({what})",
                fix="The same command goes on once this is mended.",
            )
        self._progress.say(f"{what} goes on without {owner}: it {escaped(why)}.")
        skipped = self._skipped()
        skipped.setdefault(owner, {})[what] = escaped(why)
        atomic_write(self._folder / _SKIPPED, json.dumps(skipped))

    def _skipped(self) -> dict[str, dict[str, str]]:
        path = self._folder / _SKIPPED
        if not path.exists():
            return {}
        read: dict[str, dict[str, str]] = json.loads(path.read_text())
        return read

    def _kept(self, name: Path, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        path = name.with_name(f"{name.name}.safetensors")
        if not path.exists():
            keep_tensor(path, make())
        return kept_tensor(path)
