"""The contract of a check: prepare once a run, measure once a build, judge all builds together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy.typing as npt

from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.trial import Trial
from sudare.audits.finding_context import FindingContext
from sudare.audits.labels import LabelledParts
from sudare.core.arrays import BoolArray, ByteArray, Float32Array, FloatArray, IntArray
from sudare.core.figures import Figure
from sudare.core.findings import Finding
from sudare.core.progress import Progress
from sudare.core.threats import ThreatModel
from sudare.data.images import ImageDataset
from sudare.releases.card import Card

if TYPE_CHECKING:
    import torch

    from sudare.audits.config import RunConfig
    from sudare.releases.kinds import Release


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
class Pooled:
    """What a check may make once for all builds and releases of a run: of images, never of builds.

    Attributes:
        pool: Images whose membership is in question.
        population: Images that attackers may use.
        test: Scoring only.
        prepared: Folder of what the check prepared, or None.
        device: Where nets run.
        progress: Where to report.
    """

    pool: ImageDataset
    population: ImageDataset
    test: ImageDataset
    prepared: Path | None
    device: str
    progress: Progress


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckInput:
    """One build's release under test.

    Attributes:
        release: The release; views through ``expose``.
        nets: The nets that answer for it: its own, or those of recipients.
        recipients: How many of them recipients trained; 0 where the release answers by itself.
        pool: Images whose membership is in question.
        population: Images that attackers may use.
        test: Scoring only.
        prepared: Folder of what the check prepared, or None.
        pooled: Folder of what the check made once for these images, or None.
        members: ``bool [n]``, who was in this build; None where the check is not told.
        record: Folder of the build that made it, with its private record; None of an artefact.
        costs: Seconds that were spent on it so far, by name.
        seed: Seed of this measurement.
        models_seed: Seed of the models that answer, the same for every check.
        device: Where nets run.
        progress: Where to report.
    """

    release: Release
    nets: tuple[torch.nn.Module, ...]
    pool: ImageDataset
    population: ImageDataset
    test: ImageDataset
    seed: int
    device: str
    progress: Progress
    recipients: int = 0
    prepared: Path | None = None
    pooled: Path | None = None
    members: BoolArray | None = None
    record: Path | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    models_seed: int = 0


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
class Judgement:
    """What follows from what a check measured.

    Attributes:
        findings: In a stable order.
        scores: Id of an attack to its scores ``[targets, n]``, for curves.
        threats: Id of an attack to what its attacker sees.
    """

    findings: list[Finding]
    scores: Mapping[str, FloatArray] = field(default_factory=dict)
    threats: Mapping[str, ThreatModel] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class BuildResults:
    """What was measured on every build of a release.

    Attributes:
        arrays: Name to an array with one row a build.
        every: Kind of check to its arrays, of all checks.
        judged: What checks that were judged before this one said, by kind.
        trial: Who was a member; of the shadows of an artefact too.
        labels: Labels of pool and test.
        population: ``int64 [m]``, classes of the population.
        covariates: ``float32 [n + m, d]`` of images, or None: never in the evidence, so what is
            judged by them cannot be recomputed.
        card: The release's card.
        config: The run.
        seed: Seed of resampling; named parts of it, never itself.
        builds: How many of the trial's targets the check measured.
        controls: Null controls of the whole run, among which their error is shared.
        step: Called after each of several attacks, for the progress bar.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    every: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    judged: Mapping[str, Judgement]
    trial: Trial
    labels: LabelledParts
    population: IntArray
    covariates: Float32Array | None
    card: Card
    config: RunConfig
    seed: int
    builds: int
    controls: int
    step: Callable[[], None] = lambda: None

    @property
    def membership(self) -> BoolArray:
        """``bool [builds, n]`` of the builds that were measured."""
        return self.trial.members[: self.builds]

    @property
    def nulls(self) -> list[BoolArray]:
        """The same drawn anew, several times; none in a run that is a control itself."""
        if self.config.audit.null:
            return []
        return [null[self.trial.rows][: self.builds] for null in self.trial.nulls]

    @property
    def units(self) -> IntArray:
        """``int64 [n]``, which images belong together."""
        return self.trial.units

    @property
    def draws(self) -> int:
        """Bootstrap draws."""
        return self.config.audit.draws


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

    def pools(self) -> bool:
        """Whether these settings need what ``prepare_pool`` makes."""
        return False

    def prepare_pool(self, given: Pooled, folder: Path) -> None:
        """Make what is equal for every build on the same images, in a worker."""

    @abstractmethod
    def measure(self, tested: CheckInput) -> Measurement:
        """Measure one build, within the budget of the settings. Runs in a worker."""

    @abstractmethod
    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """Findings about the release from all builds, with the null control of each attack.

        It must use nothing but the stack: a third party computes it again from the evidence.
        """
