"""Where a run works: its data and plan, its cache, its workers, as one value for every command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.jobs import CheckJob, CheckWork, applicable, plan_checks
from sudare.audits.checks.recipient_models import RecipientsJob
from sudare.audits.config import RunConfig
from sudare.audits.measure import MeasureConfig, MeasureJob, measure_jobs
from sudare.audits.parts import split_of
from sudare.core.arrays import BoolArray
from sudare.core.errors import ConfigError
from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.data.plan import draw_plan
from sudare.data.sources import Source
from sudare.data.splits import AuditSplit
from sudare.fleets.builds import BuildJob, BuildPlan, build_jobs
from sudare.fleets.cache import Cache
from sudare.fleets.executors import Executor, make_executor
from sudare.fleets.features import compute_features, extractors_of
from sudare.fleets.jobs import Chain, Job
from sudare.fleets.lanes import in_lanes
from sudare.routes.config import PlannedRelease, RouteConfig

__all__ = ["PreparedRun", "ReleaseJobs", "Site", "device_of", "open_site", "prepare_run"]


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

    def measuring(self, release: PlannedRelease | None = None) -> MeasureConfig:
        """How a release is measured; None where nobody knows how it was trained."""
        return MeasureConfig.of(self.config, self.device, release)

    def checks(self, cache: Cache) -> list[CheckWork]:
        """Every check of the run."""
        return plan_checks(
            self.config.checks,
            self.split,
            cache=cache,
            seed=self.config.seed,
            device=self.device,
            threads=self.config.fleet.threads,
        )


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
        measuring: How it is measured.
        models: What trains the models that answer for it.
        measures: Scores and answers.
        checks: What each check measures; it may measure fewer builds than there are.
    """

    measuring: MeasureConfig
    models: Sequence[RecipientsJob]
    measures: Sequence[MeasureJob]
    checks: dict[CheckConfig, list[CheckJob]]

    @classmethod
    def of(
        cls,
        models: Sequence[RecipientsJob],
        kind: str,
        split: AuditSplit,
        *,
        measuring: MeasureConfig,
        checks: Sequence[CheckWork],
        cache: Cache,
    ) -> ReleaseJobs:
        """The jobs for a release of a kind whose builds' models are trained so.

        Args:
            models: What trains the models that answer for each build.
            kind: The kind of release.
            split: Images that are scored.
            measuring: How it is measured.
            checks: The checks; those that do not apply to the kind measure nothing.
            cache: Where data lie.
        """
        fits = applicable([work.config for work in checks], kind)
        return cls(
            measuring=measuring,
            models=models,
            measures=measure_jobs(models, split, cache=cache, config=measuring),
            checks={
                work.config: [work.job(one, split, cache) for one in models[: work.config.builds]]
                for work in checks
                if not fits[work.config]
            },
        )

    @property
    def columns(self) -> list[Sequence[Job]]:
        """All jobs, a column for each kind of work."""
        return [self.models, self.measures, *self.checks.values()]


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

    def builds(
        self, plan: BuildPlan, route: RouteConfig, release: PlannedRelease, measuring: MeasureConfig
    ) -> tuple[list[BuildJob], list[RecipientsJob]]:
        """A route's builds, and what trains the models of one of their releases."""
        jobs = build_jobs(plan, route, self.cache)
        return jobs, self.models(jobs, release, measuring)

    def models(
        self, builds: Sequence[BuildJob], release: PlannedRelease, measuring: MeasureConfig
    ) -> list[RecipientsJob]:
        """What trains the models that answer for each build of a release."""
        recipients = measuring.recipients
        return [RecipientsJob.of_build(build, release.name, recipients) for build in builds]

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
