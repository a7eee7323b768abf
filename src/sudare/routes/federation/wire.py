"""What travels between a server and its owners: a small head in JSON and at most one tensor.

Two calls and nothing else: an owner asks what is wanted of it, and answers. A message holds
numbers, a sentence or a statement; never a path, a class or a program.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sudare.core.errors import DataError

SERVICE, ASK, ANSWER = "sudare.Federation", "Ask", "Answer"
_LENGTH = struct.Struct(">I")
_MOST_HEAD = 1 << 22
MOST_STATES, LONGEST_STATEMENT, LONGEST_REASON = 16, 1 << 20, 300

_Head = TypeVar("_Head", bound="_Frame")


class _Frame(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shape: tuple[int, ...] | None = Field(
        default=None, max_length=2, description="Of the float32 tensor that follows, if one does."
    )


class Ask(_Frame):
    """An owner asks what is wanted of it."""

    job: str = Field(pattern="^[0-9a-f]{64}$", description="Digest of its copy of the job.")


class Question(_Frame):
    """What is wanted of an owner."""

    kind: Literal["nothing", "round", "scores", "farewell", "ended"]
    number: int = Field(default=0, ge=0, le=2**63, description="The answer names it.")
    round: int = Field(default=0, ge=0, le=10**6)
    unit: float = Field(default=1.0, ge=0, description="What counts as a score of 1.")
    text: str = Field(
        default="", max_length=LONGEST_STATEMENT, description="A statement, or why a job ended."
    )
    receipt: str = Field(
        default="", max_length=1 << 16, description="The server's signed record of rounds it has."
    )


class Answer(_Frame):
    """What an owner answers."""

    kind: Literal["answer", "busy", "refused"]
    number: int = Field(default=0, ge=0, le=2**63)
    reason: str = Field(default="", max_length=LONGEST_REASON)
    records: float = Field(default=0.0, ge=0)
    score: float = Field(default=0.0, ge=0)


def pack(head: _Frame, tensor: torch.Tensor | None = None) -> bytes:
    """One message; the head says the shape of the tensor."""
    if tensor is None:
        body = b""
    else:
        head = head.model_copy(update={"shape": tuple(tensor.shape)})
        body = tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes()
    text = head.model_dump_json(exclude_defaults=True).encode()
    return _LENGTH.pack(len(text)) + text + body


def unpack(content: bytes, kind: type[_Head]) -> tuple[_Head, torch.Tensor | None]:
    """A message's head and tensor.

    Raises:
        DataError: It is no such message.
    """
    try:
        (length,) = _LENGTH.unpack_from(content)
        if not 0 < length <= min(_MOST_HEAD, len(content) - _LENGTH.size):
            raise ValueError("a head that does not fit")
        end = _LENGTH.size + length
        head = kind.model_validate_json(content[_LENGTH.size : end])
    except (struct.error, ValidationError, ValueError) as error:
        raise DataError("a message that cannot be read") from error
    size = len(content) - end
    if head.shape is None:
        if size:
            raise DataError("a message with more in it than it says")
        return head, None
    if min(head.shape, default=0) < 0 or 4 * math.prod(head.shape) != size:
        raise DataError("a message whose tensor is not of the shape it says")
    values = np.frombuffer(content, dtype="<f4", offset=end).reshape(head.shape)
    return head, torch.from_numpy(values.astype(np.float32))


def sum_of(update: torch.Tensor) -> str:
    """SHA-256 of a tensor as it travels, in hexadecimal."""
    values = update.detach().cpu().contiguous().numpy().astype("<f4")
    return hashlib.sha256(values.tobytes()).hexdigest()


def most_bytes(parameters: int) -> int:
    """The longest message of a job whose net has so many parameters."""
    return 4 * parameters * MOST_STATES + _MOST_HEAD + _LENGTH.size
