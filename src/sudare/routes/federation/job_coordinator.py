"""The server's side of a job: a federation whose rounds are kept and whose owners may lie."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
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
from sudare.releases.card import Card
from sudare.releases.kinds.federation import FederationSpec, Statement
from sudare.releases.store import read_card, write_release
from sudare.routes.federation.coordinator import Coordinator, Owners, Refused, Terms
from sudare.routes.federation.job import Job
from sudare.routes.federation.ranges import wrong_scores, wrong_update
from sudare.routes.federation.settlement import OwnerReport

_SKIPPED, _TOLD = "skipped.json", "told.json"


class ToldOwners(Owners, Protocol):
    """Owners who are told at the end. Who does not answer in time is `Refused` as well."""

    def tell(self, statements: Mapping[str, str]) -> set[str]:
        """Hand each owner its statement; the names of those who took it."""


def rounds_folder(folder: Path) -> Path:
    """Where the rounds of a server's folder lie."""
    return folder / "rounds"


class JobCoordinator(Coordinator):
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
        self, job: Job, folder: Path, public: ImageDataset, owners: ToldOwners, progress: Progress
    ) -> None:
        terms = Terms(
            config=job.federation,
            names=job.owners,
            sigma=job.noise_multiplier,
            seed=secrets.randbits(31) if job.seed is None else job.seed,
            rehearsed=job.seed is not None,
        )
        net = build_net(
            job.federation.net,
            image_shape=job.image_shape,
            n_classes=len(job.class_names),
            seed=secrets.randbits(31) if job.seed is None else integer_seed(job.seed, "weights"),
        )
        super().__init__(terms, net, public, owners, progress)
        self._job, self._folder, self._reached = job, folder, owners

    def run(self) -> Path:
        """All rounds, the settlement, and the release; where the release lies.

        Raises:
            DataError: An owner sends what an honest one would not, or refuses.
        """
        target = self._folder / "release"
        if not target.exists():
            write_release(self.release(self._public), target)
        self._tell(target)
        return target

    def _card(self, statements: tuple[Statement, ...], like: ImageDataset) -> Card:
        card = super()._card(statements, like)
        return card.model_copy(update={"data_name": f"images of {len(statements)} owners"})

    def _tell(self, release: Path) -> None:
        """Hand statements to the owners who have none yet."""
        spec, path = read_card(release).spec, self._folder / _TOLD
        told = set(json.loads(path.read_text())) if path.exists() else set()
        assert isinstance(spec, FederationSpec)
        left = {s.owner: s.model_dump_json() for s in spec.statements if s.owner not in told}
        if left:
            told |= self._reached.tell(left)
            atomic_write(path, json.dumps(sorted(told)))
            missing = ", ".join(owner for owner in left if owner not in told)
            if missing:
                self._progress.say(f"No statement was taken by {missing}; serve the job again.")

    def _update(
        self, number: int, name: str, sent: torch.Tensor | Refused | None, here: torch.Tensor
    ) -> torch.Tensor:
        wrong = sent.reason if isinstance(sent, Refused) else wrong_update(self._job, here, sent)
        if not wrong:
            return super()._update(number, name, sent, here)
        self._without(name, f"round {number}", wrong)
        return torch.zeros_like(here)

    def _told(
        self, name: str, said: tuple[float, float] | Refused | None, *, trained: bool
    ) -> OwnerReport:
        # Its ledger holds what the job says, whatever the owner did of it.
        if isinstance(said, tuple):
            wrong = wrong_scores(self._job, *said)
        else:
            wrong = "sent no scores" if said is None else said.reason
        if wrong:
            self._without(name, "scores", wrong)
        records, score = said if isinstance(said, tuple) and not wrong else (0.0, 0.0)
        skipped = sum(what.startswith("round") for what in self._skipped().get(name, {}))
        return OwnerReport(name=name, records=records, score=score, skipped=skipped)

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

    def _kept(self, name: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        folder = self._folder if name == "start" else rounds_folder(self._folder)
        path = folder / f"{name}.safetensors"
        if not path.exists():
            keep_tensor(path, make())
        return kept_tensor(path)
