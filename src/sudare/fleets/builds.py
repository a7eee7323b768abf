"""The work of one build: private rows in, releases and a private record in a cache entry."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from sudare.core.arrays import BoolArray, IntArray
from sudare.core.errors import SudareError
from sudare.core.hashing import Json
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.data.images import ImageDataset
from sudare.data.pictures import save_pixels
from sudare.data.storage import load_images, save_images
from sudare.fleets.cache import Cache, entry_key
from sudare.fleets.tasks import Task
from sudare.nets.registry import NETS, NetConfig
from sudare.releases.registry import KINDS
from sudare.releases.store import write_release
from sudare.routes.base import Build, Choice, Route
from sudare.routes.config import RouteConfig
from sudare.routes.context import BuildContext, FolderStages
from sudare.routes.registry import make_route, parse_route

__all__ = [
    "KERNELS",
    "BegunBuild",
    "BuildPlan",
    "begin_build",
    "build_seed",
    "build_tasks",
    "builds_of",
    "kernels_of",
    "lacking_determinism",
    "load_choices",
    "make_deterministic",
    "nets_modules",
    "releases_folder",
    "run_build",
    "store",
    "write_build",
]


CHOICES = "choices.json"
KERNELS = "kernels.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class BuildPlan:
    """Which rows go into which build.

    Attributes:
        pool: The pool.
        public: Images routes may use.
        membership: ``bool [N, n]``.
        seed: Root seed; build i draws from the part ("build", i).
        device: ``cpu`` or ``cuda``.
        threads: Threads of a worker.
    """

    pool: ImageDataset
    public: ImageDataset
    membership: BoolArray
    seed: int
    device: str
    threads: int


def build_seed(root: int, row: int) -> int:
    """The seed of one build."""
    return integer_seed(root, "build", row)


def releases_folder(cache: Cache, task: Task) -> Path:
    """Where the releases of a build task lie."""
    return cache.path(task.key) / "releases"


def build_tasks(plan: BuildPlan, route: RouteConfig, cache: Cache) -> list[Task]:
    """One task for each row of the plan that the route uses; data are stored in the cache once."""
    pool, public = store(plan.pool, cache), store(plan.public, cache)
    tasks, roots = [], [__name__, *modules_of(route)]
    for row, members in enumerate(plan.membership[: builds_of(route, len(plan.membership))]):
        rows = np.flatnonzero(members)
        identity: dict[str, Json] = {
            "private": plan.pool[rows].content_hash,
            "public": plan.public.content_hash,
            "seed": build_seed(plan.seed, row),
            "device": plan.device,
            "threads": plan.threads,
        }
        # How many builds there are changes none of them.
        settings = route.model_dump(mode="json", exclude={"builds"})
        values: dict[str, Json] = {"work": "build", "route": settings, **identity}
        key = entry_key(values, roots=roots)
        arguments: dict[str, Json] = {
            "pool": str(pool),
            "public": str(public),
            "rows": np.packbits(members).tobytes().hex(),
            "route": settings,
            "seed": identity["seed"],
            "device": plan.device,
            "stages": str(cache.root / "stages"),
            "features": str(cache.root / "features"),
            "identity": {"entry": entry_key(identity, roots=roots)},
        }
        tasks.append(Task(key=key, function=f"{__name__}:run_build", arguments=arguments))
    return tasks


def modules_of(route: RouteConfig) -> set[str]:
    """Modules that registries lead a build of a route to."""
    dotted = [route.route, *(KINDS[release.kind] for release in route.releases)]
    found = {name.partition(":")[0] for name in dotted} | {type(route).__module__}
    return found | nets_modules(route)


def nets_modules(config: BaseModel) -> set[str]:
    """Modules of the nets that a configuration names, however deep."""
    if isinstance(config, NetConfig):
        return {NETS[config.name].partition(":")[0]} if config.name in NETS else set()
    inner = [value for _, value in config if isinstance(value, BaseModel)]
    return set().union(*map(nets_modules, inner)) if inner else set()


def builds_of(route: RouteConfig, most: int) -> int:
    """How many of the fleet's builds a route uses: the plan's first pairs."""
    return min(route.builds or most, most)


def store(data: ImageDataset, cache: Cache) -> Path:
    """Put a collection into the cache for workers to map, and say where it lies."""
    folder = cache.root / "data" / data.content_hash
    looked = not cache.first_look(data.content_hash) or not folder.is_dir()
    if not looked and not _same_content(folder, data.content_hash):
        shutil.rmtree(folder)
    save_images(data, folder)
    return folder


def _same_content(folder: Path, content_hash: str) -> bool:
    """Whether what lies in a folder is what its name says."""
    try:
        return load_images(folder).content_hash == content_hash
    except (OSError, ValueError, KeyError, SudareError):
        return False


def run_build(folder: Path, arguments: Mapping[str, Json], progress: Progress) -> None:
    """Build one row's releases into the folder. Runs in a worker."""
    make_deterministic(str(arguments["device"]))
    begun = begin_build(arguments, progress)
    with kernels_of(folder):
        build = begun.route.build(begun.private, begun.context)
    write_build(build, begun.rows, folder)


@dataclass(frozen=True, kw_only=True, eq=False)
class BegunBuild:
    """What a build task is about to do.

    Attributes:
        route: The route.
        private: Its private images.
        rows: Which rows of the pool they are.
        context: What else it is given.
    """

    route: Route[Any]
    private: ImageDataset
    rows: IntArray
    context: BuildContext


def begin_build(arguments: Mapping[str, Json], progress: Progress) -> BegunBuild:
    """Read what the arguments of a build task name."""
    pool, public = (
        load_images(Path(str(arguments["pool"]))),
        load_images(Path(str(arguments["public"]))),
    )
    packed = np.frombuffer(bytes.fromhex(str(arguments["rows"])), dtype=np.uint8)
    rows = np.flatnonzero(np.unpackbits(packed, count=len(pool)))
    route_values, identity = arguments["route"], arguments["identity"]
    if not isinstance(route_values, Mapping) or not isinstance(identity, Mapping):
        raise TypeError("the route and identity of a build task must be mappings")
    context = BuildContext.of(
        public,
        seed=int(str(arguments["seed"])),
        device=str(arguments["device"]),
        progress=progress,
        stages=FolderStages(Path(str(arguments["stages"])), identity),
        shared={"features": Path(str(arguments["features"]))},
    )
    route = make_route(parse_route(route_values))
    return BegunBuild(route=route, private=pool[rows], rows=rows, context=context)


def write_build(build: Build, rows: IntArray, folder: Path) -> None:
    """Write the releases and the private record of a build into the folder of its entry."""
    for name, release in build.releases.items():
        card = release.card.model_copy(update={"purpose": "evaluation"})
        write_release(release.with_card(card), folder / "releases" / name)
    record = build.record
    np.savez(
        folder / "record.npz",
        rows=rows,
        roles=record.roles,
        loss_trace=np.empty((0, 0)) if record.loss_trace is None else record.loss_trace,
    )
    costs = {"cpu_s": record.cpu_s, "wall_s": record.wall_s}
    (folder / "costs.json").write_text(json.dumps(costs))
    (folder / CHOICES).write_text(json.dumps([choice.to_json() for choice in record.choices]))
    for name, picture in record.pictures.items():
        save_pixels(picture, folder / f"{name}.png")


def load_choices(folder: Path) -> list[Choice]:
    """What a build chose among."""
    return [Choice.from_json(values) for values in json.loads((folder / CHOICES).read_text())]


def make_deterministic(device: str = "cpu") -> None:
    """Make torch refuse kernels whose result depends on scheduling; for worker processes.

    On a GPU some have no other form (bilinear sampling backwards, for one): there torch warns,
    and ``kernels_of`` writes down which.
    """
    import torch

    # cuBLAS needs this to be deterministic; it is read when the first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=torch.device(device).type != "cpu")
    # Ours never read what they have not written; filling it is time for nothing.
    torch._C._set_deterministic_fill_uninitialized_memory(False)


@contextmanager
def kernels_of(folder: Path) -> Iterator[None]:
    """Write into a folder which kernels without a deterministic form ran inside the block."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    found = set()
    for warning in caught:
        text = str(warning.message)
        if "deterministic" in text:
            found.add(text.partition(" does not have a deterministic")[0])
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    if found:
        (folder / KERNELS).write_text(json.dumps(sorted(found)))


def lacking_determinism(folders: Iterable[Path]) -> list[str]:
    """Kernels without a deterministic form that ran in some builds."""
    paths = [folder / KERNELS for folder in folders]
    return sorted({name for p in paths if p.is_file() for name in json.loads(p.read_text())})
