"""The job of one build: private rows in, releases and a private record in a cache entry."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import BaseModel, BeforeValidator, SerializeAsAny

from sudare.core.arrays import BoolArray, IntArray
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.data.images import ImageDataset
from sudare.data.pictures import save_pixels
from sudare.fleets.cache import Cache
from sudare.fleets.collections import collection, store
from sudare.fleets.jobs import Job
from sudare.nets.registry import NETS, NetConfig
from sudare.releases.registry import KINDS
from sudare.releases.store import write_release
from sudare.routes.base import Build, Choice, Route
from sudare.routes.config import RouteConfig
from sudare.routes.context import BuildContext, FolderStages
from sudare.routes.registry import make_route, parse_route

CHOICES = "choices.json"
KERNELS = "kernels.json"
FEATURES = "features"
"""Folder of the cache with features of images, one folder for each extractor's fingerprint."""


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


AnyRoute: TypeAlias = Annotated[SerializeAsAny[RouteConfig], BeforeValidator(parse_route)]
"""A route's configuration as a field: its kind says which class."""


class BuildJob(Job):
    """One row of a plan: private rows in, releases and a private record out.

    Attributes:
        pool: Content of the pool.
        public: Content of the images routes may use.
        rows: Which rows of the pool are private: packed bits, in hexadecimal.
        route: The route; without a number of builds, which changes none of them.
        seed: Seed of this build.
        device: ``cpu`` or ``cuda``.
        threads: Threads of the worker.
    """

    pool: str
    public: str
    rows: str
    route: AnyRoute
    seed: int
    device: str
    threads: int

    @property
    def modules(self) -> set[str]:
        """Of the route, its kinds of release and its nets."""
        return modules_of(self.route)

    def releases(self, cache: Cache) -> Path:
        """Where its releases lie, a folder each."""
        return cache.path(self.key) / "releases"

    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Build its releases into the folder."""
        make_deterministic(self.device)
        begun = self.begin(cache, progress)
        with kernels_of(folder):
            build = begun.route.build(begun.private, begun.context)
        write_build(build, begun.rows, folder)

    def begin(self, cache: Cache, progress: Progress) -> BegunBuild:
        """Read what the fields name."""
        pool = collection(self.pool, cache)
        packed = np.frombuffer(bytes.fromhex(self.rows), dtype=np.uint8)
        rows = np.flatnonzero(np.unpackbits(packed, count=len(pool)))
        context = BuildContext.of(
            collection(self.public, cache),
            seed=self.seed,
            device=self.device,
            progress=progress,
            # Routes with a stage in common share it.
            stages=FolderStages(cache.root / "stages", {"entry": self.key_without("route")}),
            shared={"features": cache.root / FEATURES},
        )
        return BegunBuild(
            route=make_route(self.route), private=pool[rows], rows=rows, context=context
        )


def build_jobs(plan: BuildPlan, route: RouteConfig, cache: Cache) -> list[BuildJob]:
    """One job for each row of the plan that the route uses; data are stored in the cache once."""
    pool, public = store(plan.pool, cache), store(plan.public, cache)
    return [
        BuildJob(
            pool=pool,
            public=public,
            rows=np.packbits(members).tobytes().hex(),
            route=route.model_copy(update={"builds": None}),
            seed=build_seed(plan.seed, row),
            device=plan.device,
            threads=plan.threads,
        )
        for row, members in enumerate(plan.membership[: builds_of(route, len(plan.membership))])
    ]


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


@dataclass(frozen=True, kw_only=True, eq=False)
class BegunBuild:
    """What a build is about to do.

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
