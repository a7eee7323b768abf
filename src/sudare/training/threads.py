"""How many threads torch computes on, for as long as a piece of work lasts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def threads_of_torch(count: int) -> Iterator[None]:
    """So many threads inside the block, as many as before after it.

    Torch takes every core if nobody says otherwise. On small nets that gains little where nothing
    else runs, and where something does, threads wait for each other at every operation.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
