"""The jobs of checks: one for what is prepared, one for each build that is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, SerializeAsAny

from sudare.audits.checks.base import Measurement, Preparation, Stack, Tested
from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.recipient_models import RecipientsJob, load_models
from sudare.audits.checks.registry import make_check, parse_check
from sudare.audits.labels import LabelledParts
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import BoolArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.findings import Finding
from sudare.core.progress import Progress
from sudare.core.runs import ShownPicture
from sudare.core.seeds import integer_seed
from sudare.data.pictures import save_pixels
from sudare.data.splits import AuditSplit
from sudare.fleets.builds import make_deterministic
from sudare.fleets.cache import Cache
from sudare.fleets.collections import collection, store
from sudare.fleets.executors import Executor
from sudare.fleets.jobs import Chain, Job
from sudare.releases.registry import kind_class
from sudare.releases.store import read_release

__all__ = [
    "AnyCheck",
    "CheckJob",
    "CheckWork",
    "PrepareJob",
    "applicable",
    "judge_checks",
    "load_arrays",
    "plan_checks",
    "prepare_checks",
    "show_pictures",
]

_ARRAYS, _CAPTIONS = "arrays.npz", "captions.json"
_PARTS = ("public", "population", "auxiliary")


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


class CheckJob(Job):
    """Measures one build's release.

    Attributes:
        check: Its settings; without a number of builds, which changes nothing about one of them.
        prepared: What the check shares among all releases, or None.
        models: The models that answer for the release.
        parts: Name of a part of the collection to its content.
        threads: Threads of the worker.
    """

    weight: ClassVar[float] = 0.3

    check: AnyCheck
    prepared: PrepareJob | None
    models: RecipientsJob
    parts: dict[str, str]
    threads: int

    @property
    def modules(self) -> list[str]:
        """Of the check."""
        return _modules_of(self.check)

    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Measure the release."""
        make_deterministic(self.models.device)
        release = read_release(self.models.release.folder(cache))
        measured = make_check(self.check).measure(
            Tested(
                release=release,
                nets=load_models(self.models, release, cache),
                **{name: collection(content, cache) for name, content in self.parts.items()},
                prepared=None if self.prepared is None else cache.path(self.prepared.key),
                seed=integer_seed(self.models.seed, "check", self.check.kind),
                device=self.models.device,
                progress=progress,
            )
        )
        _write(folder, measured)


@dataclass(frozen=True, kw_only=True)
class CheckWork:
    """A check and what prepares what its measurements share.

    Attributes:
        config: Its settings.
        prepared: The job that prepares it, or None.
    """

    config: CheckConfig
    prepared: PrepareJob | None

    def job(self, models: RecipientsJob, split: AuditSplit, cache: Cache) -> CheckJob:
        """The job that measures one build's release.

        Args:
            models: The models that answer for it.
            split: Images that are scored.
            cache: Where data lie.
        """
        parts = {"pool": split.pool, "population": split.population, "test": split.test}
        return CheckJob(
            check=self.config.model_copy(update={"builds": None}),
            prepared=self.prepared,
            models=models,
            parts={name: store(part, cache) for name, part in parts.items()},
            threads=models.threads,
        )


def applicable(configs: Sequence[CheckConfig], kind: str) -> dict[CheckConfig, str]:
    """Each check and why it does not apply to a kind of release; empty where it does."""
    return {config: make_check(config).not_for(kind_class(kind)) for config in configs}


def plan_checks(
    configs: Sequence[CheckConfig],
    split: AuditSplit,
    *,
    cache: Cache,
    seed: int,
    device: str,
    threads: int,
) -> list[CheckWork]:
    """Every check with the job that makes what it shares among all releases."""
    parts = {name: getattr(split, name) for name in _PARTS}
    return [
        CheckWork(
            config=config,
            prepared=PrepareJob(
                check=config,
                parts={n: store(part, cache) for n, part in parts.items() if part is not None},
                classes=split.pool.class_names,
                seed=integer_seed(seed, "prepare", config.kind),
                device=device,
                threads=threads,
            )
            if make_check(config).shares()
            else None,
        )
        for config in configs
    ]


def prepare_checks(
    works: Sequence[CheckWork],
    executor: Executor,
    *,
    progress: Progress,
    beside: Sequence[Chain] = (),
) -> None:
    """Make what the checks share among all releases, before one of them measures.

    Args:
        works: The checks.
        executor: Where it runs.
        progress: Where to report.
        beside: Chains that need nothing of it, for the workers that it leaves idle.
    """
    chains: list[Chain] = [(work.prepared,) for work in works if work.prepared is not None]
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
                caption=caption,
                public=public,
            )
        )
    return shown


def judge_checks(
    configs: Sequence[CheckConfig],
    arrays: Mapping[str, Mapping[str, npt.NDArray[Any]]],
    maker: FindingMaker,
    *,
    membership: BoolArray,
    units: IntArray,
    labels: LabelledParts,
    seed: int,
    draws: int,
) -> list[Finding]:
    """Findings of all checks that measured something.

    Args:
        configs: The checks of the run.
        arrays: Kind of check to its arrays, one row a build.
        maker: Fills in what findings about the release share.
        membership: ``bool [N, n]``.
        units: ``int64 [n]``.
        labels: Labels of pool and test.
        seed: Seed of the run.
        draws: Bootstrap draws.
    """
    findings = []
    for config in configs:
        if config.kind not in arrays:
            continue
        named = arrays[config.kind]
        # A check may measure the first builds only.
        measured = min((len(values) for values in named.values()), default=len(membership))
        stack = Stack(
            arrays=named,
            membership=membership[:measured],
            units=units,
            labels=labels,
            seed=integer_seed(seed, "judge", maker.release, config.kind),
            draws=draws,
        )
        findings += make_check(config).judge(stack, replace(maker, builds=measured))
    return findings


def _write(folder: Path, measured: Measurement) -> None:
    arrays: dict[str, Any] = {name: np.asarray(v) for name, v in measured.arrays.items()}
    np.savez(folder / _ARRAYS, **arrays)
    for name, picture in measured.pictures.items():
        save_pixels(picture.image, folder / f"{name}.png")
    captions = {name: picture.caption for name, picture in measured.pictures.items()}
    (folder / _CAPTIONS).write_text(json.dumps(captions))


def _modules_of(config: CheckConfig) -> list[str]:
    """Modules that the registry leads a check to."""
    return [__name__, type(config).__module__, config.check.partition(":")[0]]
