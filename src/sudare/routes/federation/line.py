"""The owner's line to a server: asks what is wanted, and sends what is answered."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import torch

from sudare.core.errors import ConfigError
from sudare.core.printable import escaped
from sudare.routes.federation.desk import channel_options
from sudare.routes.federation.job import Job
from sudare.routes.federation.wire import (
    ANSWER,
    ASK,
    LONGEST_REASON,
    SERVICE,
    Answer,
    Ask,
    Question,
    pack,
    unpack,
)

if TYPE_CHECKING:
    import grpc

    _Call = grpc.UnaryUnaryMultiCallable[bytes, bytes]

_CALL_S, _AGAIN_S = 30.0, 0.5


class Line:
    """A connection to a job's server. What fails is tried again until patience ends.

    Args:
        job: The owner's copy of the job.
        address: HOST:PORT of the server.
        authority: The job's `ca.crt`, PEM: another server is not talked to.
        key: The owner's private key, PEM.
        certificate: The owner's certificate, PEM.
        parameters: Parameters of the job's net.
        waiting: Told when the server does not answer.
    """

    def __init__(
        self,
        job: Job,
        address: str,
        *,
        authority: bytes,
        key: bytes,
        certificate: bytes,
        parameters: int,
        waiting: Callable[[str], None] = lambda text: None,
    ) -> None:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        import grpc

        self._job, self._address, self._waiting = job, address, waiting
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        self._channel = grpc.secure_channel(
            address, credentials, options=channel_options(parameters)
        )
        self._ask: _Call = self._channel.unary_unary(f"/{SERVICE}/{ASK}")
        self._answer: _Call = self._channel.unary_unary(f"/{SERVICE}/{ANSWER}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()

    def next(self) -> tuple[Question, torch.Tensor | None]:
        """What the server wants now; a question of the kind "nothing" if nothing.

        Raises:
            ConfigError: It is another server, does not take this key, or does not answer.
            DataError: It sends what is no question.
        """
        return unpack(self._sent(self._ask, pack(Ask(job=self._job.digest))), Question)

    def answer(self, answer: Answer, tensor: torch.Tensor | None = None) -> None:
        """Send an answer.

        Raises:
            ConfigError: As for `next`.
        """
        self._sent(self._answer, pack(answer, tensor))

    def _sent(self, call: _Call, content: bytes) -> bytes:
        import grpc

        end = time.monotonic() + self._job.patience_s
        while True:
            try:
                said: bytes = call(content, timeout=_CALL_S)
            except grpc.RpcError as error:
                self._refused(error)
                if time.monotonic() > end:
                    raise ConfigError(
                        f"the server at {self._address} did not answer in "
                        f"{self._job.patience_s:g} s, or does not take this key",
                        fix="Ask who runs it whether it is up and has your certificate (.crt).",
                    ) from error
                self._waiting("waiting for the server")
                time.sleep(_AGAIN_S)
            else:
                self._waiting("")
                return said

    def _refused(self, error: grpc.RpcError) -> None:
        """Raise what trying again does not mend."""
        import grpc

        code, details = error.code(), str(error.details() or "")
        if "CERTIFICATE_VERIFY_FAILED" in details:
            raise ConfigError(
                f"the server at {self._address} is not this job's: its certificate is not under "
                "ca.crt",
                fix="Do not go on before you know who answers there.",
            ) from error
        if code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise ConfigError(
                f"the server at {self._address} refuses: {escaped(details[:LONGEST_REASON])}"
            ) from error
