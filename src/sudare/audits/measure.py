"""Measuring one build: signals on pool and population, predictions on test."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from sudare.attacks.boundary import BoundaryDistance
from sudare.attacks.membership.traces import trace_iqr
from sudare.attacks.nearness import NearestFeatures, NearestPixels
from sudare.attacks.signals import LogPosterior, Phi, log_posterior
from sudare.audits.checks.recipient_models import RecipientsJob, load_models
from sudare.audits.config import RunConfig
from sudare.core.arrays import BoolArray, Float32Array, FloatArray, IntArray
from sudare.core.progress import Progress
from sudare.core.scores import ScoreTable
from sudare.core.seeds import generator
from sudare.core.threats import ThreatModel
from sudare.data.images import ImageDataset, concatenate
from sudare.data.splits import AuditSplit
from sudare.fleets.builds import BuildJob, make_deterministic
from sudare.fleets.cache import Cache
from sudare.fleets.collections import collection, store
from sudare.fleets.jobs import Job
from sudare.recipients.config import RecipientConfig
from sudare.releases.kinds import AskedOnce, LabelsView, Release, SetView
from sudare.releases.store import read_release, release_bytes
from sudare.routes.base import Role
from sudare.routes.config import PlannedRelease

__all__ = [
    "MeasureConfig",
    "MeasureJob",
    "Measured",
    "load_measures",
    "measure_jobs",
    "signals",
]

_COMPONENTS = 32
_THUMBNAIL_PX = 64
_LEAST_EPOCHS = 4


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """How one route's releases are measured; equal for targets and shadows.

    Attributes:
        recipients: How recipients' models are trained.
        queries: 1 for the image alone, 2 for its mirror image too.
        boundary_images: How many images are searched for the decision boundary.
        boundary_queries: Questions about each of them.
        device: Where nets are asked.
        threads: Threads of each process.
    """

    recipients: RecipientConfig
    queries: int
    boundary_images: int = 0
    boundary_queries: int = 300
    device: str
    threads: int

    @classmethod
    def of(
        cls, config: RunConfig, device: str, planned: PlannedRelease | None = None
    ) -> MeasureConfig:
        """From a run's configuration.

        Args:
            config: The run.
            device: Where nets are asked.
            planned: The release; None where nobody knows how it was trained.
        """
        own = planned.extractor if planned is not None else None
        return cls(
            # Code that the run's own configuration names is trusted.
            recipients=config.recipients.model_copy(update={"extractor": own})
            if own is not None
            else config.recipients,
            queries=2 if _mirrored(config, planned) else 1,
            boundary_images=config.attacks.boundary_images,
            boundary_queries=config.attacks.boundary_queries,
            device=device,
            threads=config.fleet.threads,
        )


def _mirrored(config: RunConfig, planned: PlannedRelease | None) -> bool:
    """Whether mirror images are asked about: by default only where training showed them.

    A net that never saw mirrors says little about them, and averaged over both hides its leak.
    """
    if config.attacks.queries != "auto":
        return config.attacks.queries == "mirror"
    if planned is None:
        return False
    return "flip" in (planned.recipe_of_scores or config.recipients.recipe).augmentation


@dataclass(frozen=True, kw_only=True, eq=False)
class PartialSignals:
    """Signals too dear for every image.

    Attributes:
        columns: ``int64 [k]``, the pool images they were measured on.
        signals: Name to ``float32 [N, k, Q]``, distances.
    """

    columns: IntArray
    signals: Mapping[str, Float32Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """What was measured on every build of one release.

    Attributes:
        table: Signals on pool and population.
        test: ``float32 [N, R, n_test, C]``, log-posteriors of each recipient (R is 1 for
            classifiers).
        copied: ``bool [N, n]``, whether a pool image is in the released set to the pixel; None
            for releases that are no image sets.
        costs: Name to one number for each build.
        trace_spread: ``float64 [N, n]``, interquartile range of each training image's loss over
            the epochs, NaN for the others; None where builds keep no trace.
        initial: ``bool [N, n]``, which images a learned set started from; None where none did.
        partial: Signals of some images only, or None.
    """

    table: ScoreTable
    test: Float32Array
    costs: dict[str, list[float]]
    copied: BoolArray | None = None
    trace_spread: FloatArray | None = None
    initial: BoolArray | None = None
    partial: PartialSignals | None = None

    @property
    def recipients(self) -> int:
        """Models that recipients trained for each build; 0 where the release answers by itself."""
        return int(self.test.shape[1]) if "recipient_train_s" in self.costs else 0

    def table_for(self, signal: str, table: ScoreTable) -> ScoreTable:
        """The table a test of a signal works on: ``table``, or only some of its images."""
        if self.partial is None or signal not in self.partial.signals:
            return table
        return table.take(self.partial.columns, self.partial.signals)


def signals(queries: int) -> tuple[Phi, LogPosterior]:
    """The signals every release is measured with."""
    return Phi(queries=queries), LogPosterior()


_NEARNESS = (NearestPixels(), NearestFeatures())
"""Further signals of a set of images."""


class MeasureJob(Job):
    """Scores of pool and population, and answers on the test images, of one build's release.

    Attributes:
        models: The models that answer for the release.
        scored: Content of pool and population.
        test: Content of the test images.
        queries: 1 for the image alone, 2 for its mirror image too.
        boundary: Which pool images are searched for the decision boundary.
        boundary_queries: Questions about each of them.
        threads: Threads of the worker.
    """

    weight: ClassVar[float] = 0.15

    models: RecipientsJob
    scored: str
    test: str
    queries: int
    boundary: tuple[int, ...]
    boundary_queries: int
    threads: int

    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Measure the release."""
        device, seed = self.models.device, self.models.seed
        make_deterministic(device)
        release = read_release(self.models.release.folder(cache))
        scored, test = collection(self.scored, cache), collection(self.test, cache)
        costs = {"storage_mb": release_bytes(release.card) / 1e6}
        costs |= json.loads((cache.path(self.models.key) / "costs.json").read_text())
        # Both signals ask about the same images: one pass of the nets serves them.
        view = AskedOnce(load_models(self.models, release, cache), device)
        shown = release.expose(release.set_as) if release.set_as is not None else None
        if isinstance(shown, SetView):
            released = {image.tobytes() for image in shown.pixels()}
            copied = np.array([image.tobytes() in released for image in scored.images])
            np.save(folder / "copied.npy", copied)
            for nearness in _NEARNESS:
                values = nearness.measure(shown, scored.images, scored.classes, seed=seed)
                np.save(folder / f"{nearness.name}.npy", values)
        start = time.process_time()
        for signal in signals(self.queries):
            values = signal.measure(view, scored.images, scored.classes, seed=seed)
            np.save(folder / f"{signal.name}.npy", values)
        if ThreatModel.CLASSIFIER_LABELS in release.views and self.boundary:
            self._measure_boundary(release, scored, folder)
        costs["measure_cpu_s"] = time.process_time() - start
        np.save(folder / "test.npy", log_posterior(view.logits(test.images)).astype(np.float32))
        (folder / "costs.json").write_text(json.dumps(costs))

    def _measure_boundary(self, release: Release, scored: ImageDataset, folder: Path) -> None:
        columns = np.array(self.boundary, dtype=np.int64)
        view = release.expose(ThreatModel.CLASSIFIER_LABELS, device=self.models.device)
        if not isinstance(view, LabelsView):
            raise TypeError("the labels threat model must give a labels view")
        signal = BoundaryDistance(budget=self.boundary_queries)
        values = signal.measure(view, scored.images[columns], scored.classes[columns], seed=0)
        np.savez(folder / f"{signal.name}.npz", columns=columns, values=values)


def measure_jobs(
    models: Sequence[RecipientsJob], split: AuditSplit, *, cache: Cache, config: MeasureConfig
) -> list[MeasureJob]:
    """One measuring job for each build of a release, after that of the models that answer."""
    scored = concatenate([split.pool, split.population]) if len(split.population) else split.pool
    return [
        MeasureJob(
            models=one,
            scored=store(scored, cache),
            test=store(split.test, cache),
            queries=config.queries,
            boundary=tuple(_boundary_columns(split, config)),
            boundary_queries=config.boundary_queries,
            threads=config.threads,
        )
        for one in models
    ]


def _boundary_columns(split: AuditSplit, config: MeasureConfig) -> list[int]:
    """Which pool images are searched for the boundary, one of each unit, the same each time."""
    first = np.unique(split.pool.unit, return_index=True)[1]
    drawn = generator(0, "boundary columns").permutation(first)[: config.boundary_images]
    return sorted(int(column) for column in drawn)


def load_measures(
    builds: Sequence[BuildJob],
    measures: Sequence[MeasureJob],
    split: AuditSplit,
    membership: BoolArray,
    *,
    cache: Cache,
    config: MeasureConfig,
    traces: bool = True,
) -> Measured:
    """Collect what the jobs wrote into one score table.

    ``builds`` may be shorter than ``measures``: a release from elsewhere has no build cost.
    Loss traces are read if the builds were made from the very pool that is scored.
    """
    folders = [cache.path(job.key) for job in measures]
    arrays = {
        signal.name: np.stack([np.load(folder / f"{signal.name}.npy") for folder in folders])
        for signal in signals(config.queries)
    }
    scales = {signal.name: signal.scale for signal in signals(config.queries)}
    for nearness in _NEARNESS:
        paths = [folder / f"{nearness.name}.npy" for folder in folders]
        if all(path.exists() for path in paths):
            arrays[nearness.name] = np.stack([np.load(path) for path in paths])
            scales[nearness.name] = nearness.scale
    costs: dict[str, list[float]] = {}
    for folder in (*(cache.path(job.key) for job in builds), *folders):
        for name, value in json.loads((folder / "costs.json").read_text()).items():
            costs.setdefault(name, []).append(float(value))
    table = ScoreTable(
        signals=arrays,
        scales=scales,
        membership=membership,
        # A release that came alone is its own partner.
        complement=np.arange(len(membership)) ^ (len(membership) > 1),
        units=split.pool.unit,
        labels=np.concatenate([split.pool.classes, split.population.classes]),
        covariates=_components(split),
    )
    test = np.stack([np.load(folder / "test.npy") for folder in folders])
    copied = None
    if all((folder / "copied.npy").exists() for folder in folders):
        found = np.stack([np.load(folder / "copied.npy") for folder in folders])
        copied = found[:, : table.n_images]
    spread = None
    initial = None
    if traces and len(builds) == len(measures):
        initial = _initial([cache.path(job.key) for job in builds], table.n_images)
        spread = _trace_spread([cache.path(job.key) for job in builds], table.n_images)
    return Measured(
        table=table,
        test=test,
        costs=costs,
        copied=copied,
        trace_spread=spread,
        initial=initial,
        partial=_partial(folders),
    )


def _partial(folders: list[Path]) -> PartialSignals | None:
    """Distances to the boundary, if every build has them."""
    paths = [folder / f"{BoundaryDistance.name}.npz" for folder in folders]
    if not all(path.exists() for path in paths):
        return None
    loaded = [np.load(path, allow_pickle=False) for path in paths]
    values = np.stack([file["values"] for file in loaded])
    return PartialSignals(columns=loaded[0]["columns"], signals={BoundaryDistance.name: values})


def _components(split: AuditSplit) -> Float32Array | None:
    """Leading components of all scored images, fitted on the population only."""
    from sklearn.decomposition import PCA

    # Known members come without a population, and an empty array has no number of columns.
    if len(split.population) < 2 * _COMPONENTS:
        return None
    pixels, population = (_thumbnails(part) for part in (split.pool, split.population))
    components = PCA(min(_COMPONENTS, population.shape[1]), svd_solver="randomized", random_state=0)
    components.fit(population)
    both = np.concatenate([components.transform(part) for part in (pixels, population)])
    values: Float32Array = both.astype(np.float32)
    return values


def _thumbnails(part: ImageDataset) -> Float32Array:
    """Flat pixels in 0 to 1; of images above 64 pixels, means over squares."""
    n, channels, height, width = part.images.shape
    factor = -(-max(height, width) // _THUMBNAIL_PX)
    if factor == 1:
        whole = part.images.reshape(n, -1).astype(np.float32)
        whole /= np.float32(255)
        return whole
    rows, columns = height // factor, width // factor
    small = np.empty((n, channels * rows * columns), dtype=np.float32)
    for at in range(n):
        cut = part.images[at, :, : rows * factor, : columns * factor]
        squares = cut.reshape(channels, rows, factor, columns, factor)
        small[at] = squares.mean(axis=(2, 4)).ravel() / 255
    return small


def _initial(builds: list[Path], images: int) -> BoolArray | None:
    """Which images each build's learned set started from, on the columns of the pool."""
    initial = np.zeros((len(builds), images), dtype=bool)
    for build, folder in enumerate(builds):
        with np.load(folder / "record.npz", allow_pickle=False) as record:
            initial[build, record["rows"]] = record["roles"] == Role.INIT
    return initial if initial.any() else None


def _trace_spread(builds: list[Path], images: int) -> FloatArray | None:
    """The spread of every build's loss trace, on the columns of the pool."""
    spread = np.full((len(builds), images), np.nan)
    for build, folder in enumerate(builds):
        with np.load(folder / "record.npz", allow_pickle=False) as record:
            rows, trace = record["rows"], record["loss_trace"]
        if len(trace) < _LEAST_EPOCHS or trace.shape[1] != len(rows):
            return None
        # Poisson sampling may leave an image out of every epoch of a short run.
        if np.isnan(trace).all(axis=0).any():
            return None
        spread[build, rows] = trace_iqr(trace)
    return spread
