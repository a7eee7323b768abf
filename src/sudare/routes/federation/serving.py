"""A job's server: one process, one port, no child; the same command goes on after a cut."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from sudare.core.errors import ConfigError, SudareError
from sudare.core.files import atomic_write
from sudare.core.kept import kept_tensor
from sudare.core.progress import Progress
from sudare.routes.federation.coordinator import Refused
from sudare.routes.federation.desk import Desk, Papers, opened
from sudare.routes.federation.for_job import public_part
from sudare.routes.federation.job import JOB_FILE, Job, read_job
from sudare.routes.federation.job_coordinator import JobCoordinator, rounds_folder
from sudare.routes.federation.keys import (
    certificate_of,
    fingerprint,
    make_certificates,
    need_network,
    signed,
)
from sudare.routes.federation.silo import parameters_of
from sudare.routes.federation.wire import Answer, Question, sum_of

AUTHORITY_FILE = "ca.crt"
_JOB_FILE = "job.sha256"
_FAREWELL_S, _ENDED_S, _SAY_AGAIN_S, _CLOSE_S = 90.0, 3.0, 10.0, 2.0


def prepare_server(folder: Path, job: Job) -> None:
    """Certificates of a job's server, once; `ca.crt` beside the job file is for its owners."""
    server = folder / "server"
    server.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (server / "server.pem").exists():
        host, _, _ = job.address.rpartition(":")
        make_certificates(folder / AUTHORITY_FILE, server / "server.pem", host=host.strip("[]"))


def run_server(folder: Path, *, public: str, progress: Progress, listen: str = "") -> Path:
    """Serve a job until its release is written; a job that was cut off goes on.

    Args:
        folder: The job's folder: `job.toml`, `ca.crt`, `keys/OWNER.crt`.
        public: The source of public images on which owners are valued.
        progress: Where to report.
        listen: HOST:PORT to listen on, where owners dial another address than this machine's.

    Returns:
        The release.

    Raises:
        ConfigError: Certificates are missing, the noise is not what is promised, or the port is
            in use.
        DataError: The job failed; it says why and at whom.
        MissingExtraError: gRPC is not installed.
    """
    from sudare.data.sources.registry import load_source

    need_network()
    job = read_job(folder / JOB_FILE)
    job.check_noise()
    owners = _certificates(folder, job)
    prepare_server(folder, job)
    server = folder / "server"
    _refuse_another(server, job)
    shown = public_part(load_source(public).train, job)
    papers = Papers(
        key=(server / "server.key").read_bytes(),
        certificate=(server / "server.pem").read_bytes(),
        owners=owners,
    )
    desk = Desk(job, Receipts(job, server, papers))
    listening = opened(desk, job, papers, parameters=parameters_of(job), listen=listen)
    try:
        progress.say(f"Serving job {job.name} at {job.address}; owners may dial in.")
        for owner, certificate in owners.items():
            progress.say(f"  {owner}: key {fingerprint(certificate)}")
        owners_there = DeskOwners(desk, job, progress)
        release = JobCoordinator(job, server, shown, owners_there, progress).run()
        desk.end("the job is over", patience_s=0)
    except SudareError as error:
        desk.end(error.what, patience_s=_ENDED_S)
        raise
    finally:
        listening.stop(_CLOSE_S).wait()
    return release


def _certificates(folder: Path, job: Job) -> dict[str, bytes]:
    paths = {owner: folder / "keys" / f"{owner}.crt" for owner in job.owners}
    missing = [str(path) for path in paths.values() if not path.exists()]
    if missing:
        raise ConfigError(
            f"no certificate of {len(missing)} owners",
            where=", ".join(missing),
            fix="Each owner makes one with sudare federate key OWNER and sends the .crt file.",
        )
    return {owner: certificate_of(path) for owner, path in paths.items()}


def _refuse_another(server: Path, job: Job) -> None:
    """Refuse rounds of a job that was changed since.

    Raises:
        ConfigError: There are some.
    """
    file = server / _JOB_FILE
    if file.exists() and file.read_text() != job.digest and (server / "start.safetensors").exists():
        raise ConfigError(
            "the job was changed after its first round",
            where=str(server),
            fix="Put the job file back, or serve the new job from a folder of its own.",
        )
    atomic_write(file, job.digest)


class Receipts:
    """The signed record of which rounds of an owner are here, so that it cannot forget them.

    Args:
        job: The job.
        folder: The server's.
        papers: Its key signs.
    """

    def __init__(self, job: Job, folder: Path, papers: Papers) -> None:
        self._job, self._folder, self._papers = job, folder, papers
        self._made: dict[str, tuple[int, str]] = {}
        self._sums: dict[str, list[str]] = {}

    def __call__(self, owner: str) -> str:
        """The record of one owner; empty before the first round."""
        files = sorted(rounds_folder(self._folder).glob("[0-9]*.safetensors"))
        for path in files:
            if path.name not in self._sums:
                rows = kept_tensor(path)
                self._sums[path.name] = [sum_of(row) if row.any() else "" for row in rows]
        if not files:
            return ""
        if self._made.get(owner, (0, ""))[0] != len(files):
            index = self._job.index(owner)
            has = {
                str(number): self._sums[path.name][index]
                for number, path in enumerate(files)
                if self._sums[path.name][index]
            }
            text = json.dumps({"job": self._job.digest, "owner": owner, "rounds": has})
            self._made[owner] = len(files), signed(text, self._papers.key, self._papers.certificate)
        return self._made[owner][1]


class DeskOwners:
    """Owners who connect to the server and ask what is wanted.

    Args:
        desk: Where they are asked.
        job: The job.
        progress: Told who is waited for.
    """

    def __init__(self, desk: Desk, job: Job, progress: Progress) -> None:
        self._desk, self._job, self._progress = desk, job, progress
        self._said, self._at = "", time.monotonic()

    def updates(
        self, number: int, weights: torch.Tensor
    ) -> Mapping[str, torch.Tensor | Refused | None]:
        """Each owner's update of a round."""
        question = Question(kind="round", round=number)
        answers = self._asked(dict.fromkeys(self._job.owners, (question, weights)))
        return {
            owner: answer if isinstance(answer, Refused) else answer[1]
            for owner, answer in answers.items()
        }

    def scores(
        self, states: torch.Tensor, unit: float
    ) -> Mapping[str, tuple[float, float] | Refused]:
        """Number of records and mean score, as each owner says."""
        question = Question(kind="scores", unit=unit)
        answers = self._asked(dict.fromkeys(self._job.owners, (question, states)))
        return {
            owner: answer if isinstance(answer, Refused) else (answer[0].records, answer[0].score)
            for owner, answer in answers.items()
        }

    def tell(self, statements: Mapping[str, str]) -> set[str]:
        """Hand each owner its statement; who took it. The release waits for nobody who left."""
        answers = self._asked(
            {o: (Question(kind="farewell", text=text), None) for o, text in statements.items()},
            patience_s=min(_FAREWELL_S, self._job.patience_s),
        )
        return {owner for owner, answer in answers.items() if not isinstance(answer, Refused)}

    def _asked(
        self,
        questions: Mapping[str, tuple[Question, torch.Tensor | None]],
        *,
        patience_s: float | None = None,
    ) -> dict[str, Refused | tuple[Answer, torch.Tensor | None]]:
        patience = patience_s or self._job.patience_s
        answers = self._desk.ask(questions, patience_s=patience, waiting=self._waiting)
        found: dict[str, Refused | tuple[Answer, torch.Tensor | None]] = {}
        for owner in questions:
            if owner not in answers:
                found[owner] = Refused(f"gave no answer in {patience:g} s")
            elif answers[owner][0].kind == "refused":
                found[owner] = Refused(f"refuses: {answers[owner][0].reason}")
            else:
                found[owner] = answers[owner]
        return found

    def _waiting(self, names: list[str]) -> None:
        """Say who is waited for, once it takes a while, and once only."""
        text = ", ".join(names)
        if text != self._said:
            self._said, self._at = text, time.monotonic()
        elif text and time.monotonic() - self._at > _SAY_AGAIN_S:
            self._progress.say(f"Waiting for {text}.")
            self._at = time.monotonic() + self._job.patience_s
