"""The server's desk: what each owner is asked, what it answered, and who may ask."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import torch

from sudare.core.errors import ConfigError, SudareError
from sudare.routes.federation.job import Job
from sudare.routes.federation.wire import (
    ANSWER,
    ASK,
    SERVICE,
    Answer,
    Ask,
    Question,
    most_bytes,
    pack,
    unpack,
)

if TYPE_CHECKING:
    import grpc

_Made = TypeVar("_Made")
_WAIT_S, _POLL_S = 2.0, 0.2


class Desk:
    """Questions lie here until their owner has answered; one coordinator, many callers.

    A question is handed out again to whoever asks again, so an owner that was cut off gets it
    anew. An answer to another question than the one that lies here is dropped.

    Args:
        job: The job.
        receipt: The signed record of an owner's rounds that are already here.
    """

    def __init__(self, job: Job, receipt: Callable[[str], str] = lambda owner: "") -> None:
        self._job, self._receipt = job, receipt
        self._changed = threading.Condition()
        self._lying: dict[str, tuple[Question, torch.Tensor | None]] = {}
        self._answers: dict[str, tuple[Answer, torch.Tensor | None]] = {}
        self._ended, self._heard = "", set[str]()

    def ask(
        self,
        questions: Mapping[str, tuple[Question, torch.Tensor | None]],
        *,
        patience_s: float,
        waiting: Callable[[list[str]], None] = lambda names: None,
    ) -> dict[str, tuple[Answer, torch.Tensor | None]]:
        """What owners answer within a time; who did not is missing in it.

        Args:
            questions: For each owner.
            patience_s: How long to wait.
            waiting: Told who has not answered.
        """
        end = time.monotonic() + patience_s
        with self._changed:
            self._answers = {}
            for owner, (question, tensor) in questions.items():
                # Of this question alone: an answer to an earlier one fits no later one.
                named = question.model_copy(update={"number": secrets.randbits(62)})
                self._lying[owner] = named, tensor
            self._changed.notify_all()
            while len(self._answers) < len(questions) and time.monotonic() < end:
                waiting([owner for owner in questions if owner not in self._answers])
                self._changed.wait(_POLL_S)
            waiting([])
            for owner in questions:
                self._lying.pop(owner, None)
            return dict(self._answers)

    def end(self, reason: str, *, patience_s: float) -> None:
        """Let owners know that nothing more will be asked, and why."""
        limit = time.monotonic() + patience_s
        with self._changed:
            self._ended = reason
            self._changed.notify_all()
            while len(self._heard) < len(self._job.owners) and time.monotonic() < limit:
                self._changed.wait(_POLL_S)

    def next_of(self, owner: str, *, wait_s: float = _WAIT_S) -> bytes:
        """The message for an owner who asks what is wanted of it."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or owner in self._lying, wait_s)
            question, tensor = self._lying.get(owner, (Question(kind="nothing"), None))
            if self._ended and question.kind == "nothing":
                self._heard.add(owner)
                question = Question(kind="ended", text=self._ended)
        return pack(question.model_copy(update={"receipt": self._receipt(owner)}), tensor)

    def take(self, owner: str, content: bytes) -> None:
        """Take an owner's answer.

        Raises:
            DataError: It cannot be read.
        """
        answer, tensor = unpack(content, Answer)
        with self._changed:
            question, _ = self._lying.get(owner, (None, None))
            if question is None or question.number != answer.number or answer.kind == "busy":
                return
            self._answers[owner] = answer, tensor
            del self._lying[owner]
            self._changed.notify_all()


@dataclass(frozen=True, kw_only=True)
class Papers:
    """What a server proves itself by, and whom it lets in.

    Attributes:
        key: Its private key, PEM.
        certificate: Its certificate under the job's authority, PEM.
        owners: Certificate of each owner, PEM.
    """

    key: bytes
    certificate: bytes
    owners: Mapping[str, bytes] = field(default_factory=dict)


def opened(
    desk: Desk, job: Job, papers: Papers, *, parameters: int, listen: str = ""
) -> grpc.Server:
    """A server that only owners reach, each known by its certificate.

    Mutual TLS: who holds none of the owners' keys does not get past the handshake, and no byte of
    what it says is read. There is nothing to control from outside: no list, no registration, no
    program to start.

    Args:
        desk: Where owners' questions lie.
        job: The job.
        papers: What the server proves itself by, and whom it lets in.
        parameters: Parameters of the job's net.
        listen: HOST:PORT to listen on; the job's address if empty.

    Raises:
        ConfigError: The port is in use, or two owners have one certificate.
    """
    # Its C core would print every refused handshake.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    known = {_fingerprint(certificate): owner for owner, certificate in papers.owners.items()}
    # Looked up by subject in a handshake: one that bears another's name would shut it out.
    subjects = {_subject(certificate) for certificate in papers.owners.values()}
    if min(len(known), len(subjects)) < len(papers.owners):
        raise ConfigError(
            "two owners have the same certificate, or one bears another's name",
            fix="Each makes its own key: sudare federate key OWNER.",
        )
    agreed = job.digest

    def owner_of(context: grpc.ServicerContext) -> str:
        shown = context.auth_context().get("x509_pem_cert", [b""])[0]
        owner = known.get(_fingerprint(shown)) if isinstance(shown, bytes) and shown else None
        if owner is None:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "this key is no owner's")
        return str(owner)

    def ask(content: bytes, context: grpc.ServicerContext) -> bytes:
        owner = owner_of(context)
        said = _answered(context, lambda: unpack(content, Ask)[0])
        if said.job != agreed:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                "the server's copy of the job is another one than yours",
            )
        return _answered(context, lambda: desk.next_of(owner))

    def answer(content: bytes, context: grpc.ServicerContext) -> bytes:
        owner = owner_of(context)
        _answered(context, lambda: desk.take(owner, content))
        return b""

    # As many threads as owners may hold with a question and an answer at once.
    server = grpc.server(
        ThreadPoolExecutor(2 * len(job.owners) + 2), options=channel_options(parameters)
    )
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        ASK: grpc.unary_unary_rpc_method_handler(ask),
        ANSWER: grpc.unary_unary_rpc_method_handler(answer),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    credentials = grpc.ssl_server_credentials(
        [(papers.key, papers.certificate)],
        root_certificates=b"\n".join(papers.owners.values()),
        require_client_auth=True,
    )
    try:
        server.add_secure_port(listen or job.address, credentials)
    except RuntimeError as error:
        raise ConfigError(
            f"{listen or job.address} cannot be listened on: it is in use, or not this machine's",
            fix="End what holds it (an earlier server?), or listen elsewhere with --listen.",
        ) from error
    server.start()
    return server


def _answered(context: grpc.ServicerContext, work: Callable[[], _Made]) -> _Made:
    """What is made, or why it is not: gRPC would send an exception's text, paths and all."""
    import grpc

    try:
        return work()
    except SudareError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.what)
    except Exception:
        traceback.print_exc()
        context.abort(grpc.StatusCode.INTERNAL, "the server failed; what it printed says why")
    raise AssertionError("abort raises")


def channel_options(parameters: int) -> list[tuple[str, int]]:
    """Limits of what is read at both ends: no message is longer than the job's longest."""
    return [
        ("grpc.max_receive_message_length", most_bytes(parameters)),
        ("grpc.max_send_message_length", most_bytes(parameters)),
        # Two servers on one port would each see half of the owners.
        ("grpc.so_reuseport", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.initial_reconnect_backoff_ms", 300),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]


def _fingerprint(certificate: bytes) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificate

    whole = load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
    return hashlib.sha256(whole).hexdigest()


def _subject(certificate: bytes) -> bytes:
    from cryptography.x509 import load_pem_x509_certificate

    return load_pem_x509_certificate(certificate).subject.public_bytes()
