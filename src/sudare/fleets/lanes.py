"""Several builds of one route at once on a GPU, which one small net leaves idle."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sudare.core.files import atomic_directory, seal
from sudare.core.progress import Progress
from sudare.fleets.builds import (
    KERNELS,
    BegunBuild,
    BuildJob,
    kernels_of,
    make_deterministic,
    write_build,
)
from sudare.fleets.cache import Cache
from sudare.fleets.jobs import Chain, Job
from sudare.routes.base import Build
from sudare.routes.config import RouteConfig


def in_lanes(
    jobs: Sequence[BuildJob], route: RouteConfig, cache: Cache, *, device: str, lanes: int
) -> list[Chain]:
    """Chains that fill the entries of builds, several at once.

    A build is the same to the last bit as alone, so that whoever runs the jobs afterwards finds
    them done; what is missing (a group that was cut off) is built then.

    Args:
        jobs: Builds of one route.
        route: The route.
        cache: Where their entries go.
        device: ``cpu`` or ``cuda``.
        lanes: Builds at once.

    Returns:
        Nothing on a CPU, for a route that gains nothing, or for fewer than two missing builds.
    """
    missing = [job for job in jobs if not cache.has(job.key)]
    if device != "cuda" or not route.lanes or lanes < 2 or len(missing) < 2:
        return []
    groups = [tuple(missing[at : at + lanes]) for at in range(0, len(missing), lanes)]
    return [(LanesJob(builds=group),) for group in groups]


class LanesJob(Job):
    """A group of builds made at once; its own entry only says that it was done.

    Attributes:
        builds: The builds, of one route.
    """

    builds: tuple[BuildJob, ...]

    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Make the group and fill the entry of each."""
        jobs = [job for job in self.builds if not cache.has(job.key)]
        if not jobs:
            return
        make_deterministic(jobs[0].device)
        begun = [job.begin(cache, progress) for job in jobs]
        with tempfile.TemporaryDirectory() as name:
            beside = Path(name)
            with kernels_of(beside):
                builds = _at_once(begun)
            for job, one, build in zip(jobs, begun, builds, strict=True):
                with atomic_directory(cache.path(job.key)) as entry:
                    write_build(build, one.rows, entry)
                    if (beside / KERNELS).is_file():
                        shutil.copy(beside / KERNELS, entry)
                    seal(entry, job.key)


def _at_once(begun: Sequence[BegunBuild]) -> list[Build]:
    """All of them, or half after half where the GPU has no room for all."""
    import torch

    try:
        return begun[0].route.build_many(
            [one.private for one in begun], [one.context for one in begun]
        )
    except torch.OutOfMemoryError:
        if len(begun) == 1:
            raise
    # Outside of the handler, which would keep what did not fit alive.
    torch.cuda.empty_cache()
    half = len(begun) // 2
    return [*_at_once(begun[:half]), *_at_once(begun[half:])]
