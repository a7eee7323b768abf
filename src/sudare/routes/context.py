"""What a build is given beside its private images: public ones, a seed, a place for its stages."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from sudare.core.files import atomic_directory, is_sealed, seal
from sudare.core.hashing import Json, hash_json
from sudare.core.progress import Progress, Silent
from sudare.data.images import ImageDataset

_COSTS = "costs.json"

Make: TypeAlias = Callable[[Path], None]
"""Fills an empty folder with what a stage made."""


class Stages(Protocol):
    """Where a build keeps what takes long to make: experts, a teacher, a generator's snapshots.

    Attributes:
        spared_cpu_s: Processor seconds that stages took which were there already: made by this
            build before it was stopped, or by a route with the same stage.
        spared_wall_s: Their seconds on the clock.
    """

    spared_cpu_s: float
    spared_wall_s: float

    def get(self, name: str, key: Mapping[str, Json], make: Make) -> Path:
        """The folder of a stage; made if it is not there yet, whole or not at all.

        Args:
            name: Name of the stage within the build.
            key: Every setting its content depends on, beside the build's own images and seed.
            make: Fills the folder; it must draw only from seeds that follow from the build's.
        """


class FolderStages:
    """Stages in a folder.

    Args:
        root: The folder.
        identity: What else their content depends on: images, seed, device, sources.
    """

    def __init__(self, root: Path, identity: Mapping[str, Json] | None = None) -> None:
        self._root, self._identity = root, dict(identity or {})
        self._known: set[Path] = set()
        self.spared_cpu_s = self.spared_wall_s = 0.0

    def get(self, name: str, key: Mapping[str, Json], make: Make) -> Path:
        """The folder of a stage, made if it is not there yet."""
        whole = hash_json({"work": "stage", "stage": name, "key": dict(key), **self._identity})
        folder = self._root / whole[:2] / whole
        if folder.is_dir() and not is_sealed(folder):
            shutil.rmtree(folder)
        if not folder.is_dir():
            with atomic_directory(folder) as draft:
                self._make(draft, make)
                seal(draft, whole)
        elif folder not in self._known:
            spared = json.loads((folder / _COSTS).read_text())
            self.spared_cpu_s += spared["cpu_s"]
            self.spared_wall_s += spared["wall_s"]
        self._known.add(folder)
        return folder

    def _make(self, draft: Path, make: Make) -> None:
        """Make a stage and write down what it took, with what was spared inside it."""
        cpu, wall = self.spared_cpu_s, self.spared_wall_s
        start, clock = time.process_time(), time.perf_counter()
        make(draft)
        costs = {
            "cpu_s": time.process_time() - start + self.spared_cpu_s - cpu,
            "wall_s": time.perf_counter() - clock + self.spared_wall_s - wall,
        }
        (draft / _COSTS).write_text(json.dumps(costs))


class PassingStages:
    """Stages that are gone with the build: a temporary folder, made when the first is asked for."""

    def __init__(self) -> None:
        self._kept: FolderStages | None = None
        self.spared_cpu_s = self.spared_wall_s = 0.0

    def get(self, name: str, key: Mapping[str, Json], make: Make) -> Path:
        """The folder of a stage, made if it is not there yet."""
        if self._kept is None:
            folder = Path(tempfile.mkdtemp(prefix="sudare-stages-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._kept = FolderStages(folder)
        return self._kept.get(name, key, make)


@dataclass(frozen=True, kw_only=True, eq=False)
class BuildContext:
    """What a build is given.

    Attributes:
        public: Images that may be used without being protected.
        seed: Root of every random number but DP noise and sampling of what leaves.
        leaves: Whether the release will leave, so that those are the operating system's.
        device: ``cpu`` or ``cuda``.
        progress: Where to report.
        stages: Where intermediate results that take long to make survive a kill.
        shared: Artefacts made once a run, before the builds, from public data only.
    """

    public: ImageDataset
    seed: int
    leaves: bool
    device: str
    progress: Progress
    stages: Stages
    shared: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        public: ImageDataset,
        *,
        seed: int | None,
        leaves: bool | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
        stages: Stages | None = None,
        shared: Mapping[str, Path] | None = None,
    ) -> BuildContext:
        """A context for one build.

        Args:
            public: Images that may be used without being protected.
            seed: Root of every random number of a build that is audited. None for what leaves:
                nothing can repeat it, and DP noise is the operating system's.
            leaves: Whether the release will leave; where there is no seed if None. A seed beside
                it is for a build that may be stopped, and must not be kept when it is finished.
            device: ``cpu`` or ``cuda``.
            progress: Where to report; nowhere if None.
            stages: Where stages are kept; a temporary folder if None.
            shared: Artefacts made once a run.
        """
        return cls(
            public=public,
            seed=secrets.randbits(63) if seed is None else seed,
            leaves=seed is None if leaves is None else leaves,
            device=device,
            progress=progress or Silent(),
            stages=stages or PassingStages(),
            shared=shared or {},
        )
