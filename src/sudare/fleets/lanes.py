"""Several builds of one route at once on a GPU, which one small net leaves idle."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sudare.core.files import atomic_directory, seal
from sudare.core.hashing import Json, hash_json
from sudare.core.progress import Progress
from sudare.fleets.builds import (
    KERNELS,
    BegunBuild,
    begin_build,
    kernels_of,
    make_deterministic,
    write_build,
)
from sudare.fleets.cache import Cache
from sudare.fleets.tasks import Chain, Task
from sudare.routes.base import Build
from sudare.routes.config import RouteConfig

__all__ = ["in_lanes", "run_lanes"]


def in_lanes(
    tasks: Sequence[Task], route: RouteConfig, cache: Cache, *, device: str, lanes: int
) -> list[Chain]:
    """Chains that fill the entries of build tasks, several builds at once.

    A build is the same to the last bit as alone, so that whoever runs the tasks afterwards finds
    them done; what is missing (a group that was cut off) is built then.

    Args:
        tasks: Build tasks of one route.
        route: The route.
        cache: Where their entries go.
        device: ``cpu`` or ``cuda``.
        lanes: Builds at once.

    Returns:
        Nothing on a CPU, for a route that gains nothing, or for fewer than two missing builds.
    """
    missing = [task for task in tasks if not cache.has(task.key)]
    if device != "cuda" or not route.lanes or lanes < 2 or len(missing) < 2:
        return []
    groups = [missing[at : at + lanes] for at in range(0, len(missing), lanes)]
    return [(lanes_task(group, cache),) for group in groups]


def lanes_task(group: Sequence[Task], cache: Cache) -> Task:
    """The task that makes a group of builds; its own entry only says that it was done."""
    arguments: dict[str, Json] = {
        "cache": str(cache.root),
        "tasks": [asdict(task) for task in group],
    }
    key = hash_json({"work": "lanes", "builds": [task.key for task in group]})
    return Task(key=key, function=f"{__name__}:run_lanes", arguments=arguments)


def run_lanes(folder: Path, arguments: Mapping[str, Json], progress: Progress) -> None:
    """Make a group of builds and fill the entry of each. Runs in a worker."""
    values, cache = arguments["tasks"], Cache(Path(str(arguments["cache"])))
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError("the builds of a group must be a list")
    tasks = [task for task in map(_task, values) if not cache.has(task.key)]
    if not tasks:
        return
    make_deterministic(str(tasks[0].arguments["device"]))
    begun = [begin_build(task.arguments, progress) for task in tasks]
    with tempfile.TemporaryDirectory() as name:
        beside = Path(name)
        with kernels_of(beside):
            builds = _at_once(begun)
        for task, one, build in zip(tasks, begun, builds, strict=True):
            with atomic_directory(cache.path(task.key)) as entry:
                write_build(build, one.rows, entry)
                if (beside / KERNELS).is_file():
                    shutil.copy(beside / KERNELS, entry)
                seal(entry, task.key)


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


def _task(values: Json) -> Task:
    if not isinstance(values, Mapping) or not isinstance(values["arguments"], Mapping):
        raise TypeError("a build of a group must be a task")
    return Task(
        key=str(values["key"]),
        function=str(values["function"]),
        arguments=values["arguments"],
    )
