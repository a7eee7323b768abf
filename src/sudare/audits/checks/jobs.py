"""The jobs of checks: one for what is prepared, one for each build that is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, SerializeAsAny

from sudare.audits.checks.base import CheckInput, Measurement, Pooled, Preparation
from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.recipient_models import RecipientsJob, load_models
from sudare.audits.checks.registry import make_check, parse_check
from sudare.core.arrays import BoolArray
from sudare.core.errors import AuditError
from sudare.core.progress import Progress
from sudare.core.runs import ShownPicture
from sudare.core.seeds import integer_seed
from sudare.core.wording import as_json, from_json
from sudare.data.pictures import save_pixels
from sudare.data.splits import AuditSplit
from sudare.fleets.builds import make_deterministic
from sudare.fleets.cache import Cache
from sudare.fleets.collections import collection, store
from sudare.fleets.executors import Executor
from sudare.fleets.jobs import Chain, Job
from sudare.releases.registry import kind_class
from sudare.releases.store import read_release

_ARRAYS, _CAPTIONS = "arrays.npz", "captions.json"
_PARTS = ("public", "population", "auxiliary")
_SCORED = ("pool", "population", "test")


AnyCheck: TypeAlias = Annotated[SerializeAsAny[CheckConfig], BeforeValidator(parse_check)]
"""A check's configuration as a field: its kind says which class."""


class PrepareJob(Job):
    """What a check makes once a run, for all releases; of nothing private.

    Attributes:
        check: Its settings.
        parts: Name of a part of the collection to its content.
        classes: Names of all classes.
        seed: Seed of the preparation.
        device: Where nets run.
        threads: Threads of the worker.
    """

    check: AnyCheck
    parts: dict[str, str]
    classes: tuple[str, ...]
    seed: int
    device: str
    threads: int

    @property
    def modules(self) -> list[str]:
        """Of the check."""
        return _modules_of(self.check)

    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Prepare the check."""
        make_deterministic(self.device)
        parts = {name: collection(content, cache) for name, content in self.parts.items()}
        given = Preparation(
            public=parts["public"],
            population=parts["population"],
            auxiliary=parts.get("auxiliary"),
            class_names=self.classes,
            seed=self.seed,
            device=self.device,
            progress=progress,
        )
        make_check(self.check).prepare(given, folder)


class PoolJob(Job):
    """What a check makes once for all builds of a run on the same images.

    Attributes:
        check: Its settings.
        prepared: What the check shares among all runs of these images, or None.
        parts: Name of a part of the collection to its content.
        device: Where nets run.
        threads: Threads of the worker.
    """

    check: AnyCheck
    prepared: PrepareJob | None
    parts: dict[str, str]
    device: str
    threads: int

    @property
    def modules(self) -> list[str]:
        """Of the check."""
        return _modules_of(self.check)

    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Make it."""
        make_deterministic(self.device)
        given = Pooled(
            **{name: collection(content, cache) for name, content in self.parts.items()},
            prepared=None if self.prepared is None else cache.path(self.prepared.key),
            device=self.device,
            progress=progress,
        )
        make_check(self.check).prepare_pool(given, folder)


class CheckJob(Job):
    """Measures one build's release.

    Attributes:
        check: Its settings; without a number of builds, which changes nothing about one of them.
        prepared: What the check shares among all releases, or None.
        pooled: What the check made once for these images, or None.
        models: The models that answer for the release.
        parts: Name of a part of the collection to its content.
        members: Who was in the build: packed bits, in hexadecimal; empty where the check is not
            told.
        threads: Threads of the worker.
    """

    weight: ClassVar[float] = 0.3

    check: AnyCheck
    prepared: PrepareJob | None
    pooled: PoolJob | None
    models: RecipientsJob
    parts: dict[str, str]
    members: str = ""
    threads: int

    @property
    def modules(self) -> list[str]:
        """Of the check."""
        return _modules_of(self.check)

    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Measure the release."""
        models = self.models
        make_deterministic(models.device)
        release = read_release(models.release.folder(cache))
        costs = json.loads((cache.path(models.key) / "costs.json").read_text())
        recipients = models.recipients.count if costs else 0
        record = models.release.record(cache)
        if record is not None:
            costs |= json.loads((record / "costs.json").read_text())
        parts = {name: collection(content, cache) for name, content in self.parts.items()}
        measured = make_check(self.check).measure(
            CheckInput(
                release=release,
                nets=load_models(models, release, cache) if self.check.asks_models else (),
                recipients=recipients,
                **parts,
                members=self._members(len(parts["pool"])),
                prepared=None if self.prepared is None else cache.path(self.prepared.key),
                pooled=None if self.pooled is None else cache.path(self.pooled.key),
                record=record,
                costs=costs,
                seed=integer_seed(models.seed, "check", self.check.kind),
                models_seed=models.seed,
                device=models.device,
                progress=progress,
            )
        )
        _write(folder, measured)

    def _members(self, images: int) -> BoolArray | None:
        """Who was in the build, ``[n]``."""
        if not self.members:
            return None
        packed = np.frombuffer(bytes.fromhex(self.members), dtype=np.uint8)
        return np.unpackbits(packed, count=images).astype(bool)


@dataclass(frozen=True, kw_only=True)
class CheckWork:
    """A check and what is made for it before one build is measured.

    Attributes:
        config: Its settings.
        prepared: The job that prepares it, or None.
        pooled: The job that makes what all builds on the scored images share, or None.
        parts: Name of a scored part of the collection to its content.
        threads: Threads of a worker.
    """

    config: CheckConfig
    prepared: PrepareJob | None
    pooled: PoolJob | None
    parts: Mapping[str, str]
    threads: int

    @property
    def before(self) -> Chain:
        """What must be there before a build is measured."""
        return tuple(job for job in (self.prepared, self.pooled) if job is not None)

    def job(self, models: RecipientsJob, members: BoolArray | None = None) -> CheckJob:
        """The job that measures one build's release.

        Args:
            models: The models that answer for it.
            members: ``bool [n]``, who was in the build; for checks that are told.
        """
        return CheckJob(
            check=self.config.model_copy(update={"builds": None}),
            prepared=self.prepared,
            pooled=self.pooled,
            models=models,
            parts=dict(self.parts),
            members=np.packbits(members).tobytes().hex()
            if self.config.told_members and members is not None
            else "",
            threads=self.threads,
        )


def applicable(configs: Sequence[CheckConfig], kind: str) -> dict[CheckConfig, str]:
    """Each check and why it does not apply to a kind of release; empty where it does."""
    return {config: make_check(config).not_for(kind_class(kind)) for config in configs}


def plan_check(
    config: CheckConfig, split: AuditSplit, *, cache: Cache, seed: int, device: str, threads: int
) -> CheckWork:
    """A check with the jobs that make what it shares among releases and builds."""
    check = make_check(config)
    prepared = pooled = None
    if check.shares():
        parts = {name: getattr(split, name) for name in _PARTS}
        prepared = PrepareJob(
            check=config,
            parts={n: store(part, cache) for n, part in parts.items() if part is not None},
            classes=split.pool.class_names,
            seed=integer_seed(seed, "prepare", config.kind),
            device=device,
            threads=threads,
        )
    scored = {name: store(getattr(split, name), cache) for name in _SCORED}
    if check.pools():
        pooled = PoolJob(
            check=config, prepared=prepared, parts=scored, device=device, threads=threads
        )
    return CheckWork(config=config, prepared=prepared, pooled=pooled, parts=scored, threads=threads)


def prepare_checks(
    works: Sequence[CheckWork],
    executor: Executor,
    *,
    progress: Progress,
    beside: Sequence[Chain] = (),
) -> None:
    """Make what the checks share among releases and builds, before one of them measures.

    Args:
        works: The checks.
        executor: Where it runs.
        progress: Where to report.
        beside: Chains that need nothing of it, for the workers that it leaves idle.
    """
    chains = [work.before for work in works if work.before]
    if chains:
        label = "preparing checks" + (", first builds" if beside else "")
        executor.run([*chains, *beside], progress=progress, label=label)


def load_arrays(folders: Sequence[Path]) -> dict[str, npt.NDArray[Any]]:
    """What was measured on every build, one row a build.

    Raises:
        AuditError: Builds that gave other arrays than the first.
    """
    builds = []
    for folder in folders:
        with np.load(folder / _ARRAYS, allow_pickle=False) as file:
            builds.append({name: file[name] for name in file.files})
    shapes = [{name: value.shape for name, value in build.items()} for build in builds]
    if any(shape != shapes[0] for shape in shapes):
        raise AuditError("a check measured other arrays on other builds", where=str(folders[0]))
    return {name: np.stack([build[name] for build in builds]) for name in builds[0]}


def show_pictures(
    config: CheckConfig, release: str, entry: Path, folder: Path
) -> list[ShownPicture]:
    """Copy the pictures of one build into the run folder, and list them."""
    path, public = entry / _CAPTIONS, make_check(config).public_pictures
    if not path.is_file():
        return []
    target = folder / ("pictures" if public else "internal")
    target.mkdir(parents=True, exist_ok=True, mode=0o755 if public else 0o700)
    shown = []
    for name, caption in json.loads(path.read_text()).items():
        file = target / f"{release}-{config.kind}-{name}.png"
        file.write_bytes((entry / f"{name}.png").read_bytes())
        file.chmod(0o644 if public else 0o600)
        shown.append(
            ShownPicture(
                kind=config.kind,
                release=release,
                file=str(file.relative_to(folder)),
                caption=from_json(caption),
                public=public,
            )
        )
    return shown


def _write(folder: Path, measured: Measurement) -> None:
    arrays: dict[str, Any] = {name: np.asarray(v) for name, v in measured.arrays.items()}
    np.savez(folder / _ARRAYS, **arrays)
    for name, picture in measured.pictures.items():
        save_pixels(picture.image, folder / f"{name}.png")
    captions = {name: as_json(picture.caption) for name, picture in measured.pictures.items()}
    (folder / _CAPTIONS).write_text(json.dumps(captions))


def _modules_of(config: CheckConfig) -> list[str]:
    """Modules that the registry leads a check to."""
    return [__name__, type(config).__module__, config.check.partition(":")[0], *config.modules]
