"""An owner's part in a job: one process that dials out, shows its terms, and answers."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import wrap

from sudare.accounting.ledger import composed_epsilon
from sudare.core.errors import ConfigError, DataError
from sudare.core.files import UNREADABLE, atomic_write
from sudare.core.printable import escaped
from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.routes.federation.answering import answered, guarded
from sudare.routes.federation.for_job import for_the_job
from sudare.routes.federation.job import Job, read_job
from sudare.routes.federation.keys import fingerprint, key_of, need_network, verified
from sudare.routes.federation.line import Line
from sudare.routes.federation.settlement import ledger_of
from sudare.routes.federation.silo import LEDGER_FILE, Silo, parameters_of

_AGREED_FILE, _RECEIPT_FILE, _ERRORS_FILE = "agreed.json", "receipt.json", "errors.log"


@dataclass(frozen=True, kw_only=True)
class OwnersPart:
    """What an owner brings to a job.

    Attributes:
        job: Its copy of the job file.
        owner: Its name in the job.
        data: A source, a folder or a file of images.
        key: Its private key, with its certificate in the same file.
        authority: The job's `ca.crt`.
        folder: Its own folder, for ledger and answers.
        server: HOST:PORT to dial, if not the job's.
        image_size: Resize images to squares of this side.
        limit_epsilon: What its ledger may reach, if not the job's.
    """

    job: Path
    owner: str
    data: str
    key: Path
    authority: Path
    folder: Path
    server: str | None = None
    image_size: int | None = None
    limit_epsilon: float | None = None


def run_owner(part: OwnersPart, *, agrees: Callable[[str], bool], progress: Progress) -> Path:
    """Answer a job's server until the owner has its statement.

    Nothing that arrives is run: a question is a number, weights or a statement, and what is done
    with it is in this package and in the owner's copy of the job.

    Args:
        part: What the owner brings.
        agrees: Shown the terms before the first round; once it agreed it is not asked again.
        progress: Where to report.

    Returns:
        The statement.

    Raises:
        ConfigError: A file is missing, the server is not the one it should be, or the owner does
            not agree.
        DataError: Images that are not the job's, or the server ended the job; it says why.
        BudgetError: The ledger is not the newest, or another process holds it.
        MissingExtraError: gRPC is not installed.
    """
    need_network()
    job, data = _checked(part)
    job.check_noise()
    silo = Silo(job, part.owner, data, part.folder, max_epsilon=part.limit_epsilon)
    if silo.statement.exists():
        return silo.statement
    _agree(part, job, silo, len(data), agrees)
    key, certificate = key_of(part.key)
    authority = part.authority.read_bytes()
    with progress.stage(f"rounds of {part.owner}", job.federation.rounds) as bar:
        line = Line(
            job,
            part.server or job.address,
            authority=authority,
            key=key,
            certificate=certificate,
            parameters=parameters_of(job),
            waiting=bar.note,
        )
        bar.advance(silo.rounds)
        notes = _Notes(silo, job, part, authority)
        with line:
            while not silo.statement.exists():
                question, tensor = line.next()
                notes.take(question.receipt)
                if question.kind == "ended":
                    raise DataError(
                        f"the server ended the job: {escaped(question.text)}",
                        fix="The same command goes on once it is served again.",
                    )
                if question.kind == "nothing":
                    continue
                before = silo.rounds
                answer, sent = guarded(
                    partial(answered, silo, question, tensor),
                    number=question.number,
                    errors=part.folder / _ERRORS_FILE,
                )
                bar.advance(silo.rounds - before)
                line.answer(answer, sent)
                if answer.kind == "refused":
                    progress.say(f"{part.owner} refused: {answer.reason}.")
    return silo.statement


def terms(job: Job, part: OwnersPart, *, images: int, spent: float) -> str:
    """What an owner agrees to: server, what leaves, privacy, budget, pay.

    Args:
        job: The owner's copy.
        part: What it brings.
        images: Number of its images.
        spent: Epsilon that its folder has spent so far.
    """
    config, privacy = job.federation, job.federation.privacy
    noised = "noised " if privacy else ""
    if job.seed is not None:
        promise = (
            "NOT PRIVATE. The job has a seed: whoever holds the job takes the noise off your "
            "updates and scores."
        )
    elif privacy is None:
        promise = (
            "NOT PRIVATE. Nothing is noised: an update tells of your images, up to the images "
            "themselves."
        )
    else:
        epsilon = composed_epsilon(ledger_of(config, job.noise_multiplier), delta=privacy.delta)
        promise = (
            f"epsilon {epsilon:.2f} at delta {privacy.delta:g} for one of your {images:,} images, "
            "towards the server and whoever gets the model; other images of the same person are "
            "not counted in."
        )
    limit = part.limit_epsilon if part.limit_epsilon is not None else job.max_epsilon
    rows = {
        "Server": f"{part.server or job.address}, under the authority "
        f"{fingerprint(part.authority.read_bytes())}",
        "What leaves": f"one {noised}update a round for {config.rounds} rounds; then a {noised}"
        f"number of records and a {noised}mean score. No image, no file, no program comes or goes.",
        "Privacy": promise,
        "Budget": f"{part.folder / LEDGER_FILE} {_said_of(spent)}"
        + (f" and ends at {limit:.2f}" if limit is not None and job.seed is None else "")
        + "; a round that is cut off is paid again.",
        "Pay": f"by {config.valuation.rule}, out of {config.valuation.budget_cents / 100:,.2f}",
    }
    lines = [f"Job {job.name}, as owner {part.owner}"]
    width = min(100, shutil.get_terminal_size().columns) - 2
    for name, text in rows.items():
        lines += wrap(text, width, initial_indent=f"  {name + ':':<13}", subsequent_indent=" " * 15)
    return "\n".join(lines)


def _said_of(spent: float) -> str:
    if math.isinf(spent):
        return (
            "holds a job without noise, or with noise from a seed: no epsilon holds here any more"
        )
    return f"has spent epsilon {spent:.2f}"


def _agree(
    part: OwnersPart, job: Job, silo: Silo, images: int, agrees: Callable[[str], bool]
) -> None:
    file = silo.folder / _AGREED_FILE
    now = {"job": job.digest, "limit": part.limit_epsilon}
    before = json.loads(file.read_text()) if file.exists() else {}
    if before == now:
        return
    if silo.rounds and before.get("job", job.digest) != job.digest:
        raise ConfigError(
            f"another job called {job.name} was answered here, and its answers would be sent again",
            where=str(silo.folder),
            fix="Each job has a name of its own; ask for one, or take another --folder.",
        )
    if not agrees(terms(job, part, images=images, spent=silo.spent)):
        raise ConfigError("you did not agree; nothing was sent", where=str(part.job))
    atomic_write(file, json.dumps(now))


class _Notes:
    """What the server says it has of an owner, held against the ledger and kept."""

    def __init__(self, silo: Silo, job: Job, part: OwnersPart, authority: bytes) -> None:
        self._silo, self._whose, self._authority = silo, (job.digest, part.owner), authority
        self._file = silo.folder / _RECEIPT_FILE
        self._kept = self._file.read_text() if self._file.exists() else ""
        self._rounds = self._read(self._kept) if self._kept else {}
        silo.received(self._rounds)

    def take(self, receipt: str) -> None:
        """A record that came with a question.

        Raises:
            DataError: It is not signed by the job's server, or is of another job or owner.
            BudgetError: As `Silo.received`.
        """
        if not receipt or receipt == self._kept:
            return
        # What was here before stays: a server that lost its folder has had it all the same.
        rounds = {**self._rounds, **self._read(receipt)}
        self._silo.received(rounds)
        if len(rounds) > len(self._rounds):
            atomic_write(self._file, receipt)
        self._kept, self._rounds = receipt, rounds

    def _read(self, receipt: str) -> dict[str, str]:
        try:
            said = json.loads(verified(receipt, self._authority))
            rounds = {str(int(number)): str(sum_) for number, sum_ in said["rounds"].items()}
            whose = said["job"], said["owner"]
        except UNREADABLE as error:
            raise DataError("the server's record of rounds cannot be read") from error
        if whose != self._whose:
            raise DataError("the server's record of rounds is of another job or owner")
        return rounds


def _checked(part: OwnersPart) -> tuple[Job, ImageDataset]:
    """The job and the images, once all that would fail later was tried."""
    from sudare.data.sources.registry import load_source

    job = read_job(part.job)
    job.index(part.owner)
    for path, what, fix in (
        (part.key, "there is no key", "Make one: sudare federate key."),
        (part.authority, "there is no certificate of the job", "Ask the server for its ca.crt."),
    ):
        if not path.exists():
            raise ConfigError(what, where=str(path), fix=fix)
    data = for_the_job(load_source(part.data, image_size=part.image_size).train, job)
    return job, data
