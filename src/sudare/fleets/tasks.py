"""A piece of work: a function by name, its arguments as JSON, and the key of its result."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from sudare.core.files import atomic_directory, seal
from sudare.core.hashing import Json
from sudare.core.progress import Progress
from sudare.fleets.cache import Cache

__all__ = ["Chain", "Task", "execute"]

Work: TypeAlias = Callable[[Path, Mapping[str, Json], Progress], None]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Work that fills one cache entry.

    Attributes:
        key: Key of the entry.
        function: ``module:function``, called with an empty folder, the arguments and progress.
        arguments: JSON values; big data go by path.
        weight: Share of its chain's time, for the progress bar.
    """

    key: str
    function: str
    arguments: Mapping[str, Json]
    weight: float = 1.0


Chain: TypeAlias = tuple[Task, ...]
"""Tasks that run one after the other in one worker, each using the entries before it."""


def execute(task: Task, cache: Cache, progress: Progress) -> None:
    """Run a task unless its entry is there."""
    if cache.has(task.key):
        return
    module, _, name = task.function.partition(":")
    function = cast("Work", getattr(importlib.import_module(module), name))
    with atomic_directory(cache.path(task.key)) as folder:
        function(folder, task.arguments, progress)
        seal(folder, task.key)
