"""Where a fleet runs: on this machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import ClassVar, Literal, Protocol, TypeAlias

from sudare.core.progress import Progress
from sudare.fleets.cache import Cache
from sudare.fleets.jobs import Chain

ExecutorName: TypeAlias = Literal["local", "ray"]


class Executor(Protocol):
    """Runs chains of tasks; a context manager that ends its workers."""

    overlaps: ClassVar[bool]
    """Whether a run may go on in a thread while another works."""

    def __enter__(self) -> Executor:
        """Start as little as possible."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """End every worker."""

    def run(self, chains: Sequence[Chain], *, progress: Progress, label: str) -> None:
        """Fill every entry of every chain; those that are there already cost nothing."""


def make_executor(
    name: ExecutorName,
    cache: Cache,
    *,
    workers: int | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> Executor:
    """An executor by name.

    Args:
        name: ``local`` for processes of this machine, ``ray`` for a cluster.
        cache: Where entries go; every node of a cluster must see it under the same path.
        workers: Processes at once; one per core (one per GPU) by default.
        threads: Threads of each.
        device: ``cpu`` or ``cuda``; one process a GPU unless more are asked for.

    Raises:
        ConfigError: Ray is not installed.
    """
    if name == "ray":
        from sudare.fleets.cluster import RayExecutor

        return RayExecutor(cache, workers=workers, threads=threads, gpus=int(device == "cuda"))
    from sudare.fleets.local import LocalExecutor

    alone = 1 if device == "cuda" else None
    return LocalExecutor(cache, workers=workers or alone, threads=threads)
