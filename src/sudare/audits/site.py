"""Where a run works: its data and plan, its cache, its workers, as one value for every command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt

from sudare.audits.checks.built_in import checks_of
from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.covariates import covariates_of
from sudare.audits.checks.jobs import CheckJob, CheckWork, applicable, load_arrays, plan_check
from sudare.audits.checks.recipient_models import RecipientsJob
from sudare.audits.config import RunConfig
from sudare.audits.parts import split_of
from sudare.core.arrays import BoolArray, Float32Array
from sudare.core.errors import ConfigError
from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.data.plan import draw_plan
from sudare.data.sources import Source
from sudare.data.splits import AuditSplit
from sudare.fleets.builds import BuildJob, BuildPlan
from sudare.fleets.cache import Cache
from sudare.fleets.executors import Executor, make_executor
from sudare.fleets.features import compute_features, extractors_of
from sudare.fleets.jobs import Chain, Job
from sudare.fleets.lanes import in_lanes
from sudare.recipients.config import RecipientConfig
from sudare.routes.config import PlannedRelease, RouteConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedRun:
    """A run before its first build: data, split, who will be a member of which build.

    Attributes:
        config: The run.
        source: The collection.
        split: Its parts.
        device: ``cpu`` or ``cuda``.
    """

    config: RunConfig
    source: Source
    split: AuditSplit
    device: str

    @cached_property
    def membership(self) -> BoolArray:
        """``bool [N, n]``: complementary pairs of random halves."""
        pool, builds = self.split.pool, self.config.fleet.builds
        return draw_plan(pool.unit, pool.classes, builds=builds, seed=self.config.seed).membership

    def plan(
        self,
        pool: ImageDataset | None = None,
        membership: BoolArray | None = None,
        seed: int | None = None,
    ) -> BuildPlan:
        """Which rows go into which build.

        Args:
            pool: Another pool, such as one with canaries.
            membership: Its plan.
            seed: Another root seed.
        """
        return BuildPlan(
            pool=self.split.pool if pool is None else pool,
            public=self.split.public,
            membership=self.membership if membership is None else membership,
            seed=self.config.seed if seed is None else seed,
            device=self.device,
            threads=self.config.fleet.threads,
        )

    @cached_property
    def covariates(self) -> Float32Array | None:
        """Components of the scored images, the same for every release."""
        return covariates_of(self.split)

    def recipients(self, release: PlannedRelease | None = None) -> RecipientConfig:
        """How recipients train; code that the run's own configuration names is trusted.

        Args:
            release: What they train on; None where nobody knows how it was made.
        """
        own, recipients = release and release.extractor, self.config.recipients
        return recipients.model_copy(update={"extractor": own}) if own else recipients


def prepare_run(config: RunConfig, *, progress: Progress) -> PreparedRun:
    """Load the collection and split it.

    Args:
        config: The run.
        progress: Where to report.

    Raises:
        ConfigError: A GPU is asked for and there is none.
        DataError: A collection that cannot be.
    """
    device = device_of(config)
    source, split = split_of(config, progress=progress)
    return PreparedRun(config=config, source=source, split=split, device=device)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReleaseJobs:
    """The jobs behind one release, one of each column for each build.

    Attributes:
        models: What trains the models that answer for it.
        works: The checks that apply to it.
        checks: What each check measures, by its kind; it may measure fewer builds than there are.
    """

    models: Sequence[RecipientsJob]
    works: Sequence[CheckWork]
    checks: Mapping[str, Sequence[CheckJob]]

    def chains(self, builds: Sequence[BuildJob] = (), *, first: bool = False) -> list[Chain]:
        """Everything about each build, one after the other.

        Args:
            builds: What builds them; none where they are there.
            first: Only what needs nothing that a check makes before.
        """
        checks = [
            self.checks[work.config.kind] for work in self.works if not (first and work.before)
        ]
        columns: list[Sequence[Job]] = [builds, self.models, *checks]
        return [
            tuple(column[row] for column in columns if row < len(column))
            for row in range(len(self.models))
        ]

    def entries(self, cache: Cache) -> dict[CheckConfig, list[Path]]:
        """Where what each check measured lies."""
        return {
            work.config: [cache.path(job.key) for job in self.checks[work.config.kind]]
            for work in self.works
        }

    def arrays(self, cache: Cache) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """What each check measured, by its kind, one row a build."""
        return {check.kind: load_arrays(folders) for check, folders in self.entries(cache).items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """Where work is done.

    Attributes:
        cache: Where entries go.
        executor: Its workers.
        device: ``cpu`` or ``cuda``.
        threads: Threads of each worker.
        lanes: Builds at once on a GPU.
        progress: Where to report.
    """

    cache: Cache
    executor: Executor
    device: str
    threads: int
    lanes: int
    progress: Progress

    def run(self, chains: Sequence[Chain], *, label: str) -> None:
        """Fill every entry of every chain."""
        self.executor.run(chains, progress=self.progress, label=label)

    def features(self, routes: Sequence[RouteConfig], parts: Sequence[ImageDataset]) -> None:
        """Features of images, once a run, for routes that work on them; of public nets only."""
        compute_features(
            extractors_of(routes),
            parts,
            cache=self.cache,
            executor=self.executor,
            device=self.device,
            threads=self.threads,
            progress=self.progress,
        )

    def models(
        self, builds: Sequence[BuildJob], release: PlannedRelease, recipients: RecipientConfig
    ) -> list[RecipientsJob]:
        """What trains the models that answer for each build of a release."""
        return [RecipientsJob.of_build(build, release.name, recipients) for build in builds]

    def release_jobs(
        self,
        run: PreparedRun,
        models: Sequence[RecipientsJob],
        kind: str,
        checks: Sequence[CheckConfig],
        split: AuditSplit | None = None,
        membership: BoolArray | None = None,
    ) -> ReleaseJobs:
        """The jobs for a release of a kind.

        Args:
            run: The run.
            models: What trains the models that answer for each build.
            kind: The kind of release.
            checks: The checks; those that do not apply to the kind measure nothing.
            split: Images that are scored; those of the run if None.
            membership: ``bool [N, n]``, for checks that are told who was in which build.
        """
        split = run.split if split is None else split
        fits = applicable(checks, kind)
        works = [self._work(run, check, split) for check in checks if not fits[check]]
        return ReleaseJobs(
            models=models,
            works=works,
            checks={
                work.config.kind: [
                    work.job(one, None if membership is None else membership[row])
                    for row, one in enumerate(models[: work.config.builds])
                ]
                for work in works
            },
        )

    def works(self, run: PreparedRun) -> list[CheckWork]:
        """The checks that apply to some release, with what they share among releases."""
        asked: dict[str, CheckConfig] = {}
        for release in (release for route in run.config.routes for release in route.releases):
            fits = applicable(checks_of(run.config, release), release.kind)
            asked |= {check.kind: check for check, reason in fits.items() if not reason}
        return [self._work(run, check, run.split) for check in asked.values()]

    def _work(self, run: PreparedRun, check: CheckConfig, split: AuditSplit) -> CheckWork:
        return plan_check(
            check,
            split,
            cache=self.cache,
            seed=run.config.seed,
            device=self.device,
            threads=self.threads,
        )

    def at_once(self, builds: Sequence[BuildJob], route: RouteConfig) -> list[Chain]:
        """Chains that make several builds at once; none where that gains nothing."""
        return in_lanes(builds, route, self.cache, device=self.device, lanes=self.lanes)


@contextmanager
def open_site(run: PreparedRun, cache: Cache, *, progress: Progress) -> Iterator[Site]:
    """A site for a run; its workers end with the block.

    Args:
        run: The run.
        cache: Where entries go.
        progress: Where to report.
    """
    fleet = run.config.fleet
    with make_executor(
        fleet.executor, cache, workers=fleet.workers, threads=fleet.threads, device=run.device
    ) as executor:
        yield Site(
            cache=cache,
            executor=executor,
            device=run.device,
            threads=fleet.threads,
            lanes=fleet.lanes,
            progress=progress,
        )


def device_of(config: RunConfig) -> str:
    """The device a configuration means here.

    Raises:
        ConfigError: A GPU is asked for and there is none.
    """
    import torch

    if config.fleet.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if config.fleet.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA device", where="fleet.device", fix='Use "cpu".')
    return config.fleet.device
