"""A whole run: builds, measures, findings and gates, route by route, resumable at any moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sudare.attacks.registry import make_test
from sudare.audits.cached_findings import cached_judgement, judgement_key
from sudare.audits.canaries import audit_canaries
from sudare.audits.checks.built_in import checks_of
from sudare.audits.checks.jobs import prepare_checks
from sudare.audits.config import RunConfig
from sudare.audits.decisions.foresight import foreseen, said_of
from sudare.audits.decisions.gates import check_gates, parse_gate
from sudare.audits.evidence import Evidence, agreed_on, commitment, membership_nonce
from sudare.audits.folder import check_folder, claim
from sudare.audits.forecast import Forecast, RunClock, foretell
from sudare.audits.judging import judge_release
from sudare.audits.labels import ReleaseRef
from sudare.audits.limits import limits_of_builds
from sudare.audits.record import RunRecord, RunResult, data_summary
from sudare.audits.site import PreparedRun, ReleaseJobs, Site, open_site, prepare_run
from sudare.core.errors import ConfigError, DataError
from sudare.core.machine import cores
from sudare.core.progress import LineAtEnd, Progress
from sudare.core.runs import ReleaseSummary
from sudare.core.wording import say
from sudare.data.canaries import parse_canaries, plant
from sudare.data.sources.metadata import NO_UNIT
from sudare.fleets.builds import BuildJob, build_jobs, builds_of, lacking_determinism
from sudare.fleets.cache import Cache
from sudare.fleets.jobs import Chain
from sudare.fleets.prefetch import prefetch
from sudare.releases.registry import kind_class
from sudare.releases.store import read_card, read_release, write_release
from sudare.routes.config import PlannedRelease, RouteConfig


def compare(
    config: RunConfig,
    folder: Path,
    *,
    cache: Cache,
    progress: Progress,
    command: str,
    after_stage: Callable[[Path], object] = lambda folder: None,
    force: bool = False,
    most_minutes: float | None = None,
) -> RunResult:
    """Build every release on random halves, attack each, write findings after every route.

    Args:
        config: The run.
        folder: Run folder; a run that was interrupted goes on where it was.
        cache: Builds and measures.
        progress: Where to report.
        command: The command that repeats the run, for the report.
        after_stage: Called with the folder whenever there is something new to read.
        force: Replace a run of another configuration in the folder.
        most_minutes: Refuse what the plan foretells to take longer, before the first build.

    Raises:
        ConfigError: Too long a plan, no routes, a gate that cannot be read, an attack that does
            not run, a folder that holds something else.
        SudareError: Data, builds or attacks that cannot be.
    """
    check(config)
    check_folder(folder, config, force=force)
    run = prepare_run(config, progress=progress)
    split = run.split
    workers = config.fleet.workers or max(1, cores() // config.fleet.threads)
    forecast = foretell(config, split, device=run.device, workers=workers)
    _refuse_longer(forecast, most_minutes)
    claim(folder, config, force=force)
    nonce = membership_nonce(split.pool.content_hash, config.seed)
    record = RunRecord(
        config=config,
        folder=folder,
        pool=split.pool,
        data=data_summary(run.source, split, config.data.public_groups),
        command=command,
        planned=[
            _planned(route, release, config)
            for route in config.routes
            for release in route.releases
        ],
        gates=[
            parse_gate(expression, primary=config.attacks.primary)
            for expression in config.audit.fail_on
        ],
        limits=limits_of_builds(config),
        after_stage=after_stage,
        commitment=commitment(
            run.membership,
            nonce,
            agreed_on(config, units=split.pool.unit, pool=split.pool, test=split.test),
        ),
        warnings=tuple(note for note in run.source.notes if note != NO_UNIT),
    )
    record.write()
    # Canaries that cannot be planted are refused now, not after an hour of builds.
    for canaries in map(parse_canaries, config.audit.canaries):
        plant(split.pool, canaries, seed=config.seed)
    with open_site(run, cache, progress=progress) as site:
        site.features(config.routes, [split.pool, split.public, split.population, split.test])
        stages = _Stages(run=run, site=site, record=record, nonce=nonce)
        progress.say(forecast.said(cache.root))
        progress.say(f"Commitment before the first build: {record.commitment}")
        if not config.audit.null:
            releases = sum(len(route.releases) for route in config.routes)
            progress.say(said_of(foreseen(config, split), releases))
        clock = RunClock(forecast)
        jobs = [build_jobs(run.plan(), route, cache) for route in config.routes]
        _say_what_is_there(jobs, cache, progress)
        stages.prepare(config.routes[0], jobs[0])

        def build(index: int) -> list[_Planned]:
            route = config.routes[index]
            if index:
                progress.say(clock.at(index))
            label = f"[{index + 1}/{len(config.routes)}] {route.label}"
            try:
                return stages.build(route, jobs[index], label=label)
            except DataError as error:
                # What the collection cannot feed is a row with its reason; the others go on.
                if len(config.routes) == 1:
                    raise
                progress.say(f"{label} was not built: {error}")
                record.fail(route.releases, str(error))
                return []

        # Workers build the next route while this process judges; canaries need them themselves.
        ahead = site.executor.overlaps and not config.audit.canaries
        for index, built in prefetch(build, len(config.routes), ahead=ahead):
            # Only one bar at a time: that of the workers while they work.
            quiet = ahead and index < len(config.routes) - 1
            for planned in built:
                stages.judge(
                    config.routes[index],
                    planned,
                    jobs[index],
                    progress=LineAtEnd(progress) if quiet else progress,
                )
            if not built:
                continue
            entries = [cache.path(job.key) for job in jobs[index]]
            record.add_choices(config.routes[index].releases[0].name, entries)
    record.complete = True
    return record.write()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Planned:
    """A release and the jobs behind it."""

    release: PlannedRelease
    jobs: ReleaseJobs


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stages:
    """How every release of a run is built, measured and judged."""

    run: PreparedRun
    site: Site
    record: RunRecord
    nonce: str

    def prepare(self, first: RouteConfig, builds: list[BuildJob]) -> None:
        """Make what checks share; workers without a part in it begin with the first route."""
        site, works = self.site, self.site.works(self.run)
        planned = [self._plan(release, builds).jobs for release in first.releases]
        beside = _joined(builds, [jobs.chains(first=True) for jobs in planned])
        if site.at_once(builds, first):
            beside = []
        try:
            prepare_checks(works, site.executor, progress=site.progress, beside=beside)
        except DataError:
            if not beside:
                raise
            # If it was the route's fault it becomes a row when its turn comes; if it was that of
            # a check it is raised again.
            prepare_checks(works, site.executor, progress=site.progress, beside=[])

    def build(self, route: RouteConfig, builds: list[BuildJob], *, label: str) -> list[_Planned]:
        """Build and measure all of a route's releases."""
        planned = [self._plan(release, builds) for release in route.releases]
        if lanes := self.site.at_once(builds, route):
            self.site.run(lanes, label=f"{label}, builds at once")
        self.site.run(_joined(builds, [one.jobs.chains() for one in planned]), label=label)
        return planned

    def _plan(self, release: PlannedRelease, builds: list[BuildJob]) -> _Planned:
        run = self.run
        models = self.site.models(builds, release, run.recipients(release))
        checks = checks_of(run.config, release)
        jobs = self.site.release_jobs(run, models, release.kind, checks, membership=run.membership)
        return _Planned(release=release, jobs=jobs)

    def judge(
        self, route: RouteConfig, planned: _Planned, builds: list[BuildJob], *, progress: Progress
    ) -> None:
        """Findings, pictures and evidence of one release, and of what is planted into it."""
        config, record, cache = self.run.config, self.record, self.site.cache
        release, split = planned.release, self.run.split
        folders = [build.releases(cache) / release.name for build in builds]
        entries = planned.jobs.entries(cache)
        evidence = Evidence(
            membership=self.run.membership[: len(builds)],
            units=split.pool.unit,
            pool=split.pool,
            population=split.population.classes,
            test=split.test,
            subject=ReleaseRef(name=release.name, kind=route.kind, label=release.label),
            card=read_card(folders[0]),
            nonce=self.nonce,
            checks=planned.jobs.arrays(cache),
            plan=self.run.membership,
        )
        key = judgement_key(
            config,
            evidence.subject,
            [job for column in planned.jobs.checks.values() for job in column],
            pool=split.pool.content_hash,
            planned=release,
        )
        covariates = self.run.covariates
        judged = cached_judgement(
            cache,
            key,
            lambda: judge_release(evidence, config, progress=progress, covariates=covariates),
            progress=progress,
        )
        if kernels := lacking_determinism(cache.path(build.key) for build in builds):
            record.warnings += (
                say("doubt.kernels", label=release.label, kernels=", ".join(kernels)),
            )
        record.add_judged(judged, evidence, folders, {c: own[0] for c, own in entries.items()})
        record.add_sheet(release.name, folders[0])
        _copy_release(folders[0], record.folder / "releases" / release.name)
        record.write()
        for canaries in map(parse_canaries, config.audit.canaries):
            planted = audit_canaries(self.run, self.site, route, release, evidence.card, canaries)
            record.findings += planted.findings
            record.keep(f"{release.name}.canaries-{canaries.kind}", planted.evidence)
            record.write()


def _joined(builds: Sequence[BuildJob], releases: Sequence[Sequence[Chain]]) -> list[Chain]:
    """One chain a build: the build, then what measures each of its releases."""
    return [
        (build, *(job for chains in releases for job in chains[row]))
        for row, build in enumerate(builds)
    ]


def check(config: RunConfig) -> None:
    """Refuse what cannot run before anything starts.

    Raises:
        ConfigError: What is wrong.
    """
    if not config.routes:
        raise ConfigError("there are no routes to compare", fix='Add [[routes]] kind = "plain".')
    if config.attacks.primary not in config.attacks.membership:
        raise ConfigError(
            f"the primary attack {config.attacks.primary!r} is not among those that run",
            where="attacks.primary",
        )
    for name in config.attacks.membership:
        make_test(name, config.attacks.settings.get(name, {}))
    for text in config.audit.canaries:
        parse_canaries(text)
    kinds = {release.kind for route in config.routes for release in route.releases}
    views = sorted(
        {view for kind in kinds for view in kind_class(kind).views}
        | {kind_class(kind).scores_as for kind in kinds}
    )
    if unknown := [threat for threat in config.threat.sees if threat not in views]:
        raise ConfigError(
            f"no release of this run shows anybody {str(unknown[0])!r}",
            where="threat.sees",
            fix=f"There are: {', '.join(views)}.",
        )
    releases = [release.name for route in config.routes for release in route.releases]
    attacks = config.attacks
    check_gates(config.audit.fail_on, releases, attacks.membership, primary=attacks.primary)


def _say_what_is_there(jobs: list[list[BuildJob]], cache: Cache, progress: Progress) -> None:
    """How many builds an earlier run left in the cache: the plan counts all."""
    every = [job for made in jobs for job in made]
    there = sum(cache.complete([job.key], progress) for job in every)
    if there:
        progress.say(f"{there:,} of {len(every):,} builds are there already.")


def _refuse_longer(forecast: Forecast, most_minutes: float | None) -> None:
    """Refuse a plan that takes longer than was allowed.

    Raises:
        ConfigError: It does.
    """
    if most_minutes is not None and forecast.seconds > 60 * most_minutes:
        raise ConfigError(
            f"this would take longer than {most_minutes:g} minutes",
            where="the plan",
            fix="Choose fewer or faster routes, a smaller pool or smaller images; or compare "
            "with `sudare compare`, which takes the time it needs.",
        )


def _planned(route: RouteConfig, release: PlannedRelease, config: RunConfig) -> ReleaseSummary:
    """What a route will give, before it is built."""
    return ReleaseSummary(
        name=release.name,
        label=release.label,
        route=route.kind,
        kind=release.kind,
        what_leaves=release.what_leaves,
        baseline=release.baseline,
        scales=dict(release.scales),
        unprotected=release.unprotected,
        alike=release.alike,
        builds_planned=builds_of(route, config.fleet.builds),
    )


def _copy_release(origin: Path, target: Path) -> None:
    """An evaluation copy of the first build's release, for the reader to open."""
    if target.exists():
        shutil.rmtree(target)
    write_release(read_release(origin), target)
