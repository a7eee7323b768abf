"""Tensors and values kept between two runs, each with a checksum: a flipped bit is no answer."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from sudare.core.errors import DataError
from sudare.core.files import UNREADABLE, atomic_write

if TYPE_CHECKING:
    import torch

_MOST_HEADER = 1 << 16


def keep_tensor(path: Path, tensor: torch.Tensor) -> None:
    """Write a tensor as safetensors whose header holds the checksum of what it says and holds."""
    from safetensors.torch import save

    atomic_write(path, save({"tensor": tensor}, metadata={"sha256": _sum_of(tensor)}))


def kept_tensor(path: Path) -> torch.Tensor:
    """The tensor of a file.

    Raises:
        DataError: The file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
        (size,) = struct.unpack_from("<Q", content)
        if size > _MOST_HEADER:
            raise ValueError("too long a header")
        said = json.loads(content[8 : 8 + size])["__metadata__"]["sha256"]
        tensor = load(content)["tensor"]
    except (SafetensorError, struct.error, *UNREADABLE) as error:
        raise _damaged(path) from error
    if said != _sum_of(tensor):
        raise _damaged(path)
    return tensor


def keep_values(path: Path, values: dict[str, float]) -> None:
    """Write named numbers with their checksum."""
    text = json.dumps(values, sort_keys=True)
    atomic_write(path, json.dumps({"values": values, "sha256": _digest(text.encode())}))


def kept_values(path: Path) -> dict[str, float]:
    """The named numbers of a file.

    Raises:
        DataError: The file is damaged.
    """
    try:
        read = json.loads(path.read_bytes())
        values = {str(name): float(value) for name, value in read["values"].items()}
        said = read["sha256"]
    except UNREADABLE as error:
        raise _damaged(path) from error
    if said != _digest(json.dumps(read["values"], sort_keys=True).encode()):
        raise _damaged(path)
    return values


def _sum_of(tensor: torch.Tensor) -> str:
    about = f"{tensor.dtype} {tuple(tensor.shape)} ".encode()
    return _digest(about + tensor.detach().cpu().contiguous().numpy().tobytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _damaged(path: Path) -> DataError:
    return DataError(
        "a kept answer is damaged",
        where=str(path),
        fix="Restore the file from a copy, or remove it: it is then made again, and paid again.",
    )
