"""A whole run: builds, measures, findings and gates, route by route, resumable at any moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sudare.attacks.registry import make_test
from sudare.audits.attacked import attacks_key, kept_audit
from sudare.audits.canaries import audit_canaries
from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.registry import CHECKS, check_class
from sudare.audits.checks.work import (
    CheckWork,
    applicable,
    check_task,
    judge_checks,
    load_arrays,
    plan_checks,
    prepare_checks,
    show_pictures,
)
from sudare.audits.config import DataConfig, RunConfig
from sudare.audits.decisions.foresight import foreseen, said_of
from sudare.audits.decisions.gates import check_gates, parse_gate
from sudare.audits.evidence import Evidence, agreed_on, commitment, membership_nonce
from sudare.audits.findings import audit_release, maker_of
from sudare.audits.folder import check_folder, claim
from sudare.audits.forecast import Forecast, RunClock, foretell
from sudare.audits.labels import Named
from sudare.audits.measure import (
    MeasureConfig,
    Measured,
    answering_tasks,
    load_measures,
    measure_tasks,
)
from sudare.audits.record import RunRecord, RunResult, data_summary
from sudare.core.arrays import BoolArray
from sudare.core.errors import ConfigError, DataError
from sudare.core.machine import cores
from sudare.core.progress import LineAtEnd, Progress
from sudare.core.runs import ReleaseSummary
from sudare.core.seeds import integer_seed
from sudare.data import ImageDataset, concatenate
from sudare.data.canaries import parse_canaries, plant
from sudare.data.plan import draw_plan
from sudare.data.sources import Source, load_source
from sudare.data.sources.metadata import NO_UNIT
from sudare.data.sources.registry import is_named
from sudare.data.splits import AuditSplit, SplitSizes, few_of_each, make_split
from sudare.fleets.builds import (
    BuildPlan,
    build_tasks,
    builds_of,
    lacking_determinism,
    releases_folder,
)
from sudare.fleets.cache import Cache
from sudare.fleets.executors import Executor, make_executor
from sudare.fleets.features import compute_features, extractors_of
from sudare.fleets.lanes import in_lanes
from sudare.fleets.tasks import Chain, Task
from sudare.fleets.turns import in_turn
from sudare.releases.registry import kind_class
from sudare.releases.store import read_card, read_release, write_release
from sudare.routes.config import PlannedRelease, RouteConfig

_OWN = "own images"
LEAST_BUILDS = 8
FEW_BUILDS = (
    "Intervals from fewer than 8 builds are too short where builds differ from one another: at 4 "
    "they covered 85 to 86 % in simulations where they should cover 95 %, at 8 89 to 92 %."
)

__all__ = ["check", "compare", "device_of", "families", "few_builds", "split_of", "test_size"]


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
    device = device_of(config)
    check_folder(folder, config, force=force)
    source, split = split_of(config, progress=progress)
    workers = config.fleet.workers or max(1, cores() // config.fleet.threads)
    forecast = foretell(config, split, device=device, workers=workers)
    _refuse_longer(forecast, most_minutes)
    claim(folder, config, force=force)
    plan = draw_plan(
        split.pool.unit, split.pool.classes, builds=config.fleet.builds, seed=config.seed
    )
    builds = BuildPlan(
        pool=split.pool,
        public=split.public,
        membership=plan.membership,
        seed=config.seed,
        device=device,
        threads=config.fleet.threads,
    )
    nonce = membership_nonce(split.pool.content_hash, config.seed)
    record = RunRecord(
        config=config,
        folder=folder,
        pool=split.pool,
        data=data_summary(source, split, config.data.public_groups),
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
        limits=_limits(config),
        after_stage=after_stage,
        commitment=commitment(
            plan.membership,
            nonce,
            agreed_on(config, units=split.pool.unit, pool=split.pool, test=split.test),
        ),
        warnings=tuple(note for note in source.notes if note != NO_UNIT),
    )
    record.write()
    # Canaries that cannot be planted are refused now, not after an hour of builds.
    for canaries in map(parse_canaries, config.audit.canaries):
        plant(split.pool, canaries, seed=config.seed)
    fleet = config.fleet
    with make_executor(
        fleet.executor, cache, workers=fleet.workers, threads=fleet.threads, device=device
    ) as executor:
        compute_features(
            extractors_of(config.routes),
            [split.pool, split.public, split.population, split.test],
            cache=cache,
            executor=executor,
            device=device,
            threads=fleet.threads,
            progress=progress,
        )
        run = _Running(
            config=config,
            split=split,
            plan=plan.membership,
            nonce=nonce,
            record=record,
            executor=executor,
            cache=cache,
            device=device,
            progress=progress,
            checks=plan_checks(
                config.checks,
                split,
                cache=cache,
                seed=config.seed,
                device=device,
                threads=fleet.threads,
            ),
        )
        progress.say(forecast.said(cache.root))
        progress.say(f"Commitment before the first build: {record.commitment}")
        if not config.audit.null:
            releases = sum(len(route.releases) for route in config.routes)
            progress.say(said_of(foreseen(config, split), releases))
        clock = RunClock(forecast)
        tasks = [build_tasks(builds, route, cache) for route in config.routes]
        _say_what_is_there(tasks, cache, progress)
        run.prepare(config.routes[0], tasks[0])

        def build(index: int) -> list[_Planned]:
            route = config.routes[index]
            if index:
                progress.say(clock.at(index))
            label = f"[{index + 1}/{len(config.routes)}] {route.label}"
            try:
                return run.build(route, tasks[index], label=label)
            except DataError as error:
                # What the collection cannot feed is a row with its reason; the others go on.
                if len(config.routes) == 1:
                    raise
                progress.say(f"{label} was not built: {error}")
                record.fail(route.releases, str(error))
                return []

        # Workers build the next route while this process judges; canaries need them themselves.
        ahead = executor.overlaps and not config.audit.canaries
        for index, built in in_turn(build, len(config.routes), ahead=ahead):
            # Only one bar at a time: that of the workers while they work.
            quiet = ahead and index < len(config.routes) - 1
            for release in built:
                run.judge(
                    config.routes[index],
                    run.reached(release, tasks[index]),
                    tasks[index],
                    progress=LineAtEnd(progress) if quiet else progress,
                )
            if not built:
                continue
            entries = [cache.path(task.key) for task in tasks[index]]
            record.add_choices(config.routes[index].releases[0].name, entries)
    record.complete = True
    return record.write()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Planned:
    """The tasks behind one release, one of each column for each build."""

    release: PlannedRelease
    measuring: MeasureConfig
    answering: list[Task]
    measures: list[Task]
    checks: dict[CheckConfig, list[Task]]

    @property
    def columns(self) -> list[list[Task]]:
        return [self.answering, self.measures, *self.checks.values()]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reached:
    """A release whose builds are all measured; folders of what checks measured."""

    release: PlannedRelease
    measured: Measured
    measures: list[Task]
    checks: dict[CheckConfig, list[Path]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Running:
    """What every release of a run is built, measured and judged with."""

    config: RunConfig
    split: AuditSplit
    plan: BoolArray
    nonce: str
    record: RunRecord
    executor: Executor
    cache: Cache
    device: str
    progress: Progress
    checks: list[CheckWork]

    def prepare(self, first: RouteConfig, tasks: list[Task]) -> None:
        """Make what checks share; workers without a part in it begin with the first route."""
        planned = [self._plan(release, tasks) for release in first.releases]
        columns = [c for release in planned for c in (release.answering, release.measures)]
        beside = list(zip(tasks, *columns, strict=True))
        if self._in_lanes(first, tasks):
            beside = []
        try:
            prepare_checks(self.checks, self.executor, progress=self.progress, beside=beside)
        except DataError:
            if not beside:
                raise
            # If it was the route's fault it becomes a row when its turn comes; if it was that of
            # a check it is raised again.
            prepare_checks(self.checks, self.executor, progress=self.progress, beside=[])

    def build(self, route: RouteConfig, tasks: list[Task], *, label: str) -> list[_Planned]:
        """Build and measure all of a route's releases."""
        planned = [self._plan(release, tasks) for release in route.releases]
        columns = [column for release in planned for column in release.columns]
        # A check may measure fewer builds than there are.
        chains = [
            (task, *(column[row] for column in columns if row < len(column)))
            for row, task in enumerate(tasks)
        ]
        if lanes := self._in_lanes(route, tasks):
            self.executor.run(lanes, progress=self.progress, label=f"{label}, builds at once")
        self.executor.run(chains, progress=self.progress, label=label)
        return planned

    def _in_lanes(self, route: RouteConfig, tasks: list[Task]) -> list[Chain]:
        lanes = self.config.fleet.lanes
        return in_lanes(tasks, route, self.cache, device=self.device, lanes=lanes)

    def reached(self, plan: _Planned, tasks: list[Task]) -> _Reached:
        """What was measured of a release, from the cache."""
        measured = load_measures(
            tasks,
            plan.measures,
            self.split,
            self.plan[: len(tasks)],
            cache=self.cache,
            config=plan.measuring,
        )
        entries = {
            config: [self.cache.path(task.key) for task in column]
            for config, column in plan.checks.items()
        }
        return _Reached(
            release=plan.release,
            measured=measured,
            measures=[*tasks, *plan.measures],
            checks=entries,
        )

    def _plan(self, release: PlannedRelease, tasks: list[Task]) -> _Planned:
        measuring = MeasureConfig.of(self.config, self.device, release)
        answering = answering_tasks(tasks, release.name, cache=self.cache, config=measuring)
        fits = applicable(self.config.checks, release.kind)
        return _Planned(
            release=release,
            measuring=measuring,
            answering=answering,
            measures=measure_tasks(answering, self.split, cache=self.cache, config=measuring),
            checks={
                work.config: [
                    check_task(
                        work,
                        nets,
                        self.split,
                        cache=self.cache,
                        recipients=measuring.recipients,
                        threads=self.config.fleet.threads,
                    )
                    for nets in answering[: work.config.builds]
                ]
                for work in self.checks
                if not fits[work.config]
            },
        )

    def judge(
        self, route: RouteConfig, reached: _Reached, tasks: list[Task], *, progress: Progress
    ) -> None:
        """Findings, pictures and evidence of one release, and of what is planted into it."""
        config, record = self.config, self.record
        release, measured = reached.release, reached.measured
        folders = [releases_folder(self.cache, task) / release.name for task in tasks]
        card = read_card(folders[0])
        subject = Named(name=release.name, kind=route.kind, label=release.label)
        audit = kept_audit(
            self.cache,
            attacks_key(config, subject, reached.measures, pool=self.split.pool.content_hash),
            lambda: audit_release(measured, self.split, subject, card, config, progress=progress),
            progress=progress,
        )
        record.add(release.name, card, audit)
        # Redrawn under --null, so that checks are controlled as attacks are.
        membership = audit.membership
        if kernels := lacking_determinism(self.cache.path(task.key) for task in tasks):
            record.warnings += (
                f"Builds of {release.label} ran kernels without a deterministic form "
                f"({', '.join(kernels)}): built again they may differ a little",
            )
        maker = maker_of(subject, card, measured)
        arrays = {check.kind: load_arrays(entries) for check, entries in reached.checks.items()}
        record.add_nearness(maker, folders, membership, arrays.get("copies"))
        record.add_sheet(release.name, folders[0])
        record.findings += judge_checks(
            config.checks,
            arrays,
            maker,
            membership=membership,
            units=measured.table.units,
            labels=self.split,
            seed=config.seed,
            draws=config.audit.draws,
        )
        for check, entries in reached.checks.items():
            record.pictures += show_pictures(check, release.name, entries[0], record.folder)
        record.keep(
            release.name,
            Evidence(
                measured=measured,
                pool=self.split.pool,
                test=self.split.test,
                subject=subject,
                card=card,
                nonce=self.nonce,
                plan=self.plan,
                checks=arrays,
            ),
        )
        _copy_release(folders[0], record.folder / "releases" / release.name)
        record.write()
        for canaries in map(parse_canaries, config.audit.canaries):
            planted = audit_canaries(
                route,
                card,
                canaries,
                self.split,
                config,
                release=release,
                executor=self.executor,
                cache=self.cache,
                device=self.device,
                progress=self.progress,
            )
            record.findings += planted.findings
            record.keep(f"{release.name}.canaries-{canaries.kind}", planted.evidence)
            record.write()


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


def _say_what_is_there(tasks: list[list[Task]], cache: Cache, progress: Progress) -> None:
    """How many builds an earlier run left in the cache: the plan counts all."""
    every = [task for made in tasks for task in made]
    there = sum(cache.complete([task.key], progress) for task in every)
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


def split_of(config: RunConfig, *, progress: Progress) -> tuple[Source, AuditSplit]:
    """Load the collection and draw pool, public, population and test."""
    data = config.data
    source = load_source(data.source, image_size=data.image_size, progress=progress)
    for note in source.notes:
        progress.say(f"Note: {note}.")
    if not is_named(data.source):
        # The name of a folder or a file is private; it would go onto every card.
        name = data.name or _OWN
        source = replace(source, name=name, train=replace(source.train, name=name))
        if source.test is not None:
            source = replace(source, test=replace(source.test, name=name))
    sizes = SplitSizes(
        pool=data.pool,
        public=data.public,
        population=data.population,
        test=test_size(config, source),
    )
    if data.fit:
        sizes = fitted(sizes, source, progress=progress)
    split = make_split(
        source.train,
        source.test,
        sizes=sizes,
        seed=integer_seed(config.seed, "split"),
        auxiliary_classes=data.auxiliary_classes,
        elsewhere=_elsewhere(data, progress),
    )
    if data.per_class is not None:
        split = replace(split, pool=few_of_each(split.pool, 2 * data.per_class, seed=config.seed))
    return source, split


def _elsewhere(data: DataConfig, progress: Progress) -> ImageDataset | None:
    """All images of the collection that was declared public; None where none was."""
    if not data.public_source:
        return None
    source = load_source(data.public_source, image_size=data.image_size, progress=progress)
    parts = [source.train] if source.test is None else [source.train, source.test]
    return concatenate(parts)


_LEAST_POOL = 16


def fitted(sizes: SplitSizes, source: Source, *, progress: Progress) -> SplitSizes:
    """The parts in proportion, where the collection has fewer images than they ask for."""
    apart = sizes.test if source.test is None else 0
    wanted = sizes.pool + sizes.public + sizes.population + apart
    there = len(source.train)
    if wanted <= there:
        return sizes
    # The test set keeps its fifth (or what was asked for, up to that): a smaller one tells nothing.
    test = min(sizes.test, there // 5) if source.test is None else sizes.test
    left = there - (test if source.test is None else 0)
    share = left / (sizes.pool + sizes.population + sizes.public)
    population, public = (int(share * size) for size in (sizes.population, sizes.public))
    pool = left - population - public
    if pool < _LEAST_POOL:
        return sizes
    progress.say(
        f"{there:,} images where {wanted:,} are asked for, so in proportion: pool {pool:,} (--set "
        f"data.pool), population {population:,}, public {public:,}, test {test:,}."
    )
    return SplitSizes(pool=pool, public=public, population=population, test=test)


def test_size(config: RunConfig, source: Source) -> int:
    """Images for scoring: as asked for, else the official test set, else a fifth."""
    without = 0 if source.test is not None else len(source.train) // 5
    return config.data.test or without


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
        builds_planned=builds_of(route, config.fleet.builds),
    )


def _copy_release(origin: Path, target: Path) -> None:
    """An evaluation copy of the first build's release, for the reader to open."""
    if target.exists():
        shutil.rmtree(target)
    write_release(read_release(origin), target)


def few_builds(builds: int) -> tuple[str, ...]:
    """What a run of so many builds cannot say beside the rest; nothing where they are enough."""
    return (FEW_BUILDS,) if builds < LEAST_BUILDS else ()


def families(config: RunConfig) -> str:
    """Which families of attack ran, and which this version knows and did not run."""
    ran = ["membership inference", *(check.label for check in config.checks)]
    asked = {check.kind for check in config.checks}
    known = [check_class(kind).label for kind in CHECKS if kind not in asked]
    left = f" Known here and not run: {', '.join(known)}." if known else ""
    return f"Only these families of attack were run: {', '.join(ran)}.{left}"


def _limits(config: RunConfig) -> tuple[str, ...]:
    return (
        "Every build is trained on half of the collection. A release trained on all of it "
        "usually leaks less and predicts better; how much is not measured here.",
        "The attacker knows how the release was made and has shadow builds from the same "
        "collection, the strongest position an audit can give. Real attackers know less.",
        f"{config.fleet.builds} builds per release: with so few, only a part of what a "
        "256-build attack would find is found.",
        *few_builds(config.fleet.builds),
        families(config),
        "Half of the images are members by construction. Where members are rare, far fewer "
        "of an attacker's accusations are right.",
    )
