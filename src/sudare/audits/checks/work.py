"""The work of checks: one entry for what is prepared, one for each build that is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sudare.audits.answering import load_answering
from sudare.audits.checks.base import Measurement, Preparation, Stack, Tested
from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.registry import make_check, parse_check
from sudare.audits.labels import LabelledParts
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import BoolArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.findings import Finding
from sudare.core.hashing import Json
from sudare.core.progress import Progress
from sudare.core.runs import ShownPicture
from sudare.core.seeds import integer_seed
from sudare.data.pictures import save_pixels
from sudare.data.splits import AuditSplit
from sudare.data.storage import load_images
from sudare.fleets.builds import make_deterministic, store
from sudare.fleets.cache import Cache, entry_key
from sudare.fleets.executors import Executor
from sudare.fleets.tasks import Chain, Task
from sudare.recipients.config import RecipientConfig
from sudare.releases.registry import kind_class
from sudare.releases.store import read_release

__all__ = [
    "CheckWork",
    "applicable",
    "check_task",
    "judge_checks",
    "load_arrays",
    "plan_checks",
    "prepare_checks",
    "prepare_task",
    "run_check",
    "run_prepare",
    "show_pictures",
]

_ARRAYS, _CAPTIONS = "arrays.npz", "captions.json"
_PARTS = ("public", "population", "auxiliary")


@dataclass(frozen=True, kw_only=True)
class CheckWork:
    """A check and where it prepared what its measurements share.

    Attributes:
        config: Its settings.
        prepared: The task that prepared it, or None.
    """

    config: CheckConfig
    prepared: Task | None


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
    """Every check with the task that makes what it shares among all releases."""
    return [
        CheckWork(
            config=config,
            prepared=prepare_task(
                config, split, cache=cache, seed=seed, device=device, threads=threads
            ),
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


def prepare_task(
    config: CheckConfig, split: AuditSplit, *, cache: Cache, seed: int, device: str, threads: int
) -> Task | None:
    """The task that prepares a check, before the first build; None where nothing is to do."""
    if not make_check(config).shares():
        return None
    parts = {name: getattr(split, name) for name in _PARTS}
    values: dict[str, Json] = {
        "work": "prepare",
        "check": config.model_dump(mode="json"),
        "parts": {name: part.content_hash for name, part in parts.items() if part is not None},
        "classes": list(split.pool.class_names),
        "seed": integer_seed(seed, "prepare", config.kind),
        "device": device,
        "threads": threads,
    }
    return Task(
        key=entry_key(values, roots=_modules_of(config)),
        function=f"{__name__}:run_prepare",
        arguments={
            "check": values["check"],
            "parts": {n: str(store(p, cache)) for n, p in parts.items() if p is not None},
            "classes": values["classes"],
            "seed": values["seed"],
            "device": device,
        },
    )


def run_prepare(folder: Path, arguments: Mapping[str, Json], progress: Progress) -> None:
    """Prepare a check. Runs in a worker."""
    make_deterministic(str(arguments["device"]))
    parts, classes = arguments["parts"], arguments["classes"]
    if not isinstance(parts, Mapping) or not isinstance(classes, Sequence):
        raise TypeError("parts and classes of a preparation must be a mapping and a list")
    loaded = {name: load_images(Path(str(path))) for name, path in parts.items()}
    given = Preparation(
        public=loaded["public"],
        population=loaded["population"],
        auxiliary=loaded.get("auxiliary"),
        class_names=tuple(map(str, classes)),
        seed=int(str(arguments["seed"])),
        device=str(arguments["device"]),
        progress=progress,
    )
    make_check(_config_of(arguments)).prepare(given, folder)


def check_task(
    work: CheckWork,
    answering: Task,
    split: AuditSplit,
    *,
    cache: Cache,
    recipients: RecipientConfig,
    threads: int,
) -> Task:
    """The task that measures one build's release.

    Args:
        work: The check, prepared.
        answering: The task whose nets answer for the release.
        split: Images that are scored.
        cache: Where data lie.
        recipients: How recipients' nets were trained.
        threads: Threads of a worker.
    """
    seed = integer_seed(int(str(answering.arguments["seed"])), "check", work.config.kind)
    parts = {name: getattr(split, name) for name in ("pool", "population", "test")}
    values: dict[str, Json] = {
        "work": "check",
        # How many builds are measured changes nothing about one of them.
        "check": work.config.model_dump(mode="json", exclude={"builds"}),
        "prepared": work.prepared.key if work.prepared is not None else "",
        "answering": answering.key,
        "parts": {name: part.content_hash for name, part in parts.items()},
        "seed": seed,
        "threads": threads,
    }
    return Task(
        key=entry_key(values, roots=_modules_of(work.config)),
        function=f"{__name__}:run_check",
        arguments={
            "check": values["check"],
            "prepared": str(cache.path(work.prepared.key)) if work.prepared is not None else "",
            "release": answering.arguments["release"],
            "answering": str(cache.path(answering.key)),
            "recipients": recipients.model_dump(mode="json"),
            "parts": {name: str(store(part, cache)) for name, part in parts.items()},
            "seed": seed,
            "device": answering.arguments["device"],
        },
        weight=0.3,
    )


def run_check(folder: Path, arguments: Mapping[str, Json], progress: Progress) -> None:
    """Measure one release. Runs in a worker."""
    make_deterministic(str(arguments["device"]))
    parts = arguments["parts"]
    if not isinstance(parts, Mapping):
        raise TypeError("the parts of a check must be a mapping")
    loaded = {name: load_images(Path(str(path))) for name, path in parts.items()}
    release, device = read_release(Path(str(arguments["release"]))), str(arguments["device"])
    config = RecipientConfig.model_validate(arguments["recipients"])
    prepared = str(arguments["prepared"])
    measured = make_check(_config_of(arguments)).measure(
        Tested(
            release=release,
            nets=load_answering(Path(str(arguments["answering"])), release, config, device=device),
            pool=loaded["pool"],
            population=loaded["population"],
            test=loaded["test"],
            prepared=Path(prepared) if prepared else None,
            seed=int(str(arguments["seed"])),
            device=device,
            progress=progress,
        )
    )
    _write(folder, measured)


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


def _config_of(arguments: Mapping[str, Json]) -> CheckConfig:
    values = arguments["check"]
    if not isinstance(values, Mapping):
        raise TypeError("the settings of a check must be a mapping")
    return parse_check(values)


def _modules_of(config: CheckConfig) -> list[str]:
    """Modules that the registry leads a check to."""
    return [__name__, type(config).__module__, config.check.partition(":")[0]]
