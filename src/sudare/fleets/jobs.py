"""A job: what a worker does. Its fields are written once; key and paths follow from them."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, cast

from pydantic import BaseModel, ConfigDict

from sudare.core.files import atomic_directory, seal
from sudare.core.progress import Progress
from sudare.fleets.cache import Cache, entry_key


class Job(BaseModel, ABC):
    """Work that fills one cache entry; a subclass declares its settings and writes ``run``.

    Collections, entries and releases of the cache are fields by their content hash or key: where
    they lie follows from the cache. So everything a result depends on is in the key, and a field
    that is added is in it too.

    Attributes:
        key: Key of the entry: a hash of every other field and of the code that runs. It is made
            where the job is, and travels with it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    weight: ClassVar[float] = 1.0
    """Share of its chain's time, for the progress bar."""

    key: str = ""

    @property
    def modules(self) -> Iterable[str]:
        """Modules that registries lead it to, whose code counts beside that of its own."""
        return ()

    @abstractmethod
    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Fill an empty folder, in a worker.

        Args:
            folder: Becomes the entry.
            cache: Where the entries and collections lie that the fields name.
            progress: Where to report.
        """

    def model_post_init(self, context: object) -> None:
        """Make the key, unless the job comes with one."""
        if not self.key:
            object.__setattr__(self, "key", self.key_without())

    def key_without(self, *fields: str) -> str:
        """The key of what depends on all fields but these."""
        values = self.model_dump(mode="json", exclude={"key", *fields})
        values["job"] = _name(type(self))
        return entry_key(values, roots=[type(self).__module__, *self.modules])


Chain: TypeAlias = tuple[Job, ...]
"""Jobs that run one after the other in one worker, each using the entries before it."""


def execute(job: Job, cache: Cache, progress: Progress) -> None:
    """Run a job unless its entry is there."""
    if cache.has(job.key):
        return
    with atomic_directory(cache.path(job.key)) as folder:
        job.run(folder, cache, progress)
        seal(folder, job.key)


def message_of(job: Job) -> dict[str, Any]:
    """A job as JSON values, for another process of the same program."""
    return {"job": _name(type(job)), "fields": job.model_dump(mode="json")}


def job_of(message: Mapping[str, Any]) -> Job:
    """The job that a message describes."""
    module, _, name = str(message["job"]).partition(":")
    kind = cast("type[Job]", getattr(importlib.import_module(module), name))
    return kind.model_validate(message["fields"])


def _name(kind: type[Job]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"
