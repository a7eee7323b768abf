"""The contract of a check: prepare once a run, measure once a build, judge all builds together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy.typing as npt

from sudare.audits.checks.config import CheckConfig
from sudare.audits.labels import LabelledParts
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import BoolArray, ByteArray, IntArray
from sudare.core.figures import Figure
from sudare.core.findings import Finding
from sudare.core.progress import Progress
from sudare.core.threats import ThreatModel
from sudare.data.images import ImageDataset
from sudare.releases.kinds import Release

if TYPE_CHECKING:
    import torch

__all__ = [
    "Check",
    "Measurement",
    "Picture",
    "Preparation",
    "Stack",
    "Tested",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """What a check may make once a run, for all releases: nothing private is among it.

    Attributes:
        public: Images that routes may train on.
        population: Images that attackers may use.
        auxiliary: Images of classes that no build knows, or None.
        class_names: Classes of the collection.
        seed: Seed of the preparation.
        device: Where nets run.
        progress: Where to report.
    """

    public: ImageDataset
    population: ImageDataset
    auxiliary: ImageDataset | None
    class_names: tuple[str, ...]
    seed: int
    device: str
    progress: Progress


@dataclass(frozen=True, kw_only=True, eq=False)
class Tested:
    """One build's release under test.

    Attributes:
        release: The release; views through ``expose``.
        nets: The nets that answer for it: its own, or those of recipients.
        pool: Images whose membership is in question.
        population: Images that attackers may use.
        test: Scoring only.
        prepared: Folder of what the check prepared, or None.
        seed: Seed of this measurement.
        device: Where nets run.
        progress: Where to report.
    """

    release: Release
    nets: tuple[torch.nn.Module, ...]
    pool: ImageDataset
    population: ImageDataset
    test: ImageDataset
    prepared: Path | None
    seed: int
    device: str
    progress: Progress


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A picture that measuring gave.

    Attributes:
        image: ``uint8 [c, h, w]``, c 1 or 3.
        caption: What it shows, in a few words.
    """

    image: ByteArray
    caption: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """What measuring one build gave.

    Attributes:
        arrays: Named numbers, from which everything is judged; never a pixel.
        pictures: Pictures by name; shown of the first build.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    pictures: Mapping[str, Picture] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """What was measured on every build of a release.

    Attributes:
        arrays: Name to an array with one row a build.
        membership: ``bool [N, n]`` of those builds.
        units: ``int64 [n]``, which images belong together.
        labels: Labels of pool and test.
        seed: Seed of resampling; named parts of it, never itself.
        draws: Bootstrap draws.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    membership: BoolArray
    units: IntArray
    labels: LabelledParts
    seed: int
    draws: int


ConfigT = TypeVar("ConfigT", bound=CheckConfig)


class Check(ABC, Generic[ConfigT]):
    """A family of attacks or of quality. A subclass writes ``measure`` and ``judge``.

    Args:
        config: Its settings.
    """

    figures: ClassVar[Sequence[Figure]] = ()
    """Figures of its findings, where no other check declares them."""
    prepares: ClassVar[bool] = False
    """Whether ``prepare`` makes something; it runs before the first build."""
    public_pictures: ClassVar[bool] = False
    """Whether its pictures show only what leaves anyway."""

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    def not_for(self, kind: type[Release]) -> str:
        """Why it does not apply to a kind of release; empty where it does."""
        return ""

    def attacks(self, kind: type[Release]) -> Mapping[str, ThreatModel]:
        """Ids of attacks whose AUC it reports on a kind of release, and what they see.

        What is named here and not measured has not passed: ``judge`` gives each a finding, if only
        one that says why the attack does not apply.
        """
        return {}

    def shares(self) -> bool:
        """Whether these settings need what ``prepare`` makes."""
        return self.prepares

    def prepare(self, given: Preparation, folder: Path) -> None:
        """Make what all measurements share; deterministic from the seed."""

    @abstractmethod
    def measure(self, tested: Tested) -> Measurement:
        """Measure one build, within the budget of the settings. Runs in a worker."""

    @abstractmethod
    def judge(self, stack: Stack, maker: FindingMaker) -> list[Finding]:
        """Findings about the release from all builds, with the check's own null control.

        It must use nothing but the stack: a third party computes it again from the evidence.
        """
