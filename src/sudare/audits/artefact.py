"""One artefact, audited as it is: with its key and shadows, or with known members."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from sudare.accounting.claims import wrong_claims
from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.jobs import CheckWork, load_arrays, prepare_checks
from sudare.audits.checks.recipient_models import RecipientsJob
from sudare.audits.compare import check
from sudare.audits.config import RunConfig, load_config
from sudare.audits.decisions.foresight import foreseen, said_of
from sudare.audits.decisions.gates import parse_gate
from sudare.audits.evidence import Evidence, membership_nonce
from sudare.audits.folder import check_folder, claim
from sudare.audits.judging import judge_release
from sudare.audits.labels import Named, Subject
from sudare.audits.limits import limits_of_artefact
from sudare.audits.measure import MeasureConfig, Measured, load_measures, measure_jobs
from sudare.audits.record import RunRecord, RunResult, data_summary
from sudare.audits.site import PreparedRun, ReleaseJobs, device_of, open_site, prepare_run
from sudare.core.archives import ArrayFile
from sudare.core.arrays import BoolArray
from sudare.core.errors import (
    AuditError,
    DataError,
    NotEvaluableError,
    SudareError,
)
from sudare.core.files import UNREADABLE
from sudare.core.progress import Progress
from sudare.core.runs import Mode, ReleaseSummary
from sudare.data.images import concatenate, refuse_overlap
from sudare.data.sources import Source, load_source
from sudare.data.splits import AuditSplit
from sudare.fleets.cache import Cache
from sudare.fleets.jobs import Chain
from sudare.fleets.local import LocalExecutor
from sudare.releases.card import Card
from sudare.releases.store import read_card, release_bytes
from sudare.routes.config import PlannedRelease, RouteConfig

__all__ = [
    "AuditRequest",
    "audit_artefact",
]


@dataclass(frozen=True, kw_only=True)
class AuditRequest:
    """What is known about a release that is to be audited."""

    release: Path
    key: Path | None = None
    members: str | None = None
    non_members: str | None = None
    builds: int = 16
    image_size: int | None = None
    fail_on: tuple[str, ...] = ()
    null: bool = False
    workers: int | None = None
    command: str = ""
    force: bool = False
    queries: Literal["auto", "image", "mirror"] = "auto"


def audit_artefact(
    request: AuditRequest,
    folder: Path,
    *,
    cache: Cache,
    progress: Progress,
    after_stage: Callable[[Path], object] = lambda folder: None,
) -> RunResult:
    """Attack a release with a key and shadows, or with known members and non-members.

    Raises:
        NotEvaluableError: Neither is given: nothing about membership can be measured.
        DataError: The collection is not the one the key was made for.
    """
    card = read_card(request.release)
    for expression in request.fail_on:
        # Text that is no gate is refused before any work.
        parse_gate(expression)
    if request.key is not None:
        evidence = _from_key(request, request.key, folder, cache, progress)
    elif request.members is not None and request.non_members is not None:
        progress.say(
            "Attacks without shadow builds can condemn a release and cannot acquit it: whatever "
            'they find, "share" takes a key (sudare release writes one).'
        )
        evidence = _from_images(request, card, cache, progress)
    else:
        progress.say(_diagnostics(request.release, card))
        raise NotEvaluableError(
            "membership is not evaluable without an audit key, or members and non-members",
            where=str(request.release),
            fix="Give --key, or --members and --non-members.",
        )
    claim(folder, evidence.config, force=request.force)
    shadows = evidence.measured.table.has_shadows
    planned = ReleaseSummary(
        name=evidence.route.name,
        label=evidence.route.label,
        route=card.route,
        kind=card.kind,
        what_leaves=card.what_leaves,
        builds_planned=evidence.config.fleet.builds if shadows else 1,
    )
    record = RunRecord(
        config=evidence.config,
        folder=folder,
        pool=evidence.split.pool,
        data=data_summary(evidence.source, evidence.split, evidence.config.data.public_groups),
        command=request.command,
        planned=[planned],
        gates=[
            parse_gate(expression, primary=evidence.config.attacks.primary)
            for expression in request.fail_on
        ],
        limits=evidence.limits,
        mode=Mode.ARTEFACT if shadows else Mode.GIVEN,
        after_stage=after_stage,
    )
    found = Evidence(
        measured=evidence.measured,
        pool=evidence.split.pool,
        test=evidence.split.test,
        subject=evidence.route,
        card=card,
        nonce=membership_nonce(evidence.split.pool.content_hash, evidence.config.seed),
        target=evidence.target,
        checks={done.kind: load_arrays([entry]) for done, entry in evidence.checks.items()},
    )
    judged = judge_release(found, evidence.config, progress=progress)
    record.add_judged(judged, found, [request.release], evidence.checks)
    record.complete = True
    return record.write()


@dataclass(frozen=True, kw_only=True)
class _Evidence:
    """What an audit of one artefact works with."""

    config: RunConfig
    source: Source
    split: AuditSplit
    route: Subject
    measured: Measured
    target: int
    limits: tuple[str, ...]
    checks: Mapping[CheckConfig, Path] = field(default_factory=dict)


def _from_key(
    request: AuditRequest, key: Path, folder: Path, cache: Cache, progress: Progress
) -> _Evidence:
    member, config, pool_hash = _read_key(key)
    fleet = {"builds": request.builds, "workers": request.workers}
    values = config.model_dump(mode="json")
    values["fleet"] |= fleet
    values["attacks"] |= {"queries": request.queries}
    values["audit"] |= {"null": request.null, "fail_on": list(request.fail_on)}
    values["title"] = f"Audit of {config.routes[0].label}"
    config = load_config(values)
    check(config)
    _refuse_other(config.routes[0], read_card(request.release), key)
    check_folder(folder, config, force=request.force)
    run = prepare_run(config, progress=progress)
    split = run.split
    if split.pool.content_hash != pool_hash:
        raise DataError(
            "the collection is not the one this key was made for",
            where=config.data.source,
            fix="Audit with the same images, in the same place.",
        )
    if member.shape != (len(split.pool),) or member.all() or not member.any():
        raise AuditError("the key does not say who was a member", where=str(key))
    route = config.routes[0]
    planned = _planned_as(route, read_card(request.release))
    measuring = run.measuring(planned)
    progress.say(said_of(foreseen(config, split), len(route.releases)))
    with open_site(run, cache, progress=progress) as site:
        site.features([route], [split.pool, split.public, split.population, split.test])
        builds, models = site.builds(run.plan(), route, planned, measuring)
        measures = measure_jobs(models, split, cache=cache, config=measuring)
        works = run.checks(cache)
        jobs = _jobs_of(request.release, planned.kind, split, measuring, works, cache)
        label = f"shadows of {route.label}"
        if lanes := site.at_once(builds, route):
            site.run(lanes, label=label)
        shadows: list[Chain] = list(zip(builds, models, measures, strict=True))
        first = (*jobs.models, *jobs.measures)
        prepare_checks(works, site.executor, progress=progress, beside=[first, *shadows])
        site.run([_chain(jobs), *shadows], label=label)
    # The artefact is one more row; a copy of it stands where its complement would, so that
    # leaving the pair out leaves exactly the shadows in.
    measured = load_measures(
        builds,
        [*measures, *jobs.measures, *jobs.measures],
        split,
        np.concatenate([run.membership, [member, ~member]]),
        cache=cache,
        config=measuring,
    )
    return _Evidence(
        config=config,
        source=run.source,
        split=split,
        route=Named(name=planned.name, kind=route.kind, label=planned.label),
        measured=measured,
        target=len(run.membership),
        limits=limits_of_artefact(config),
        checks={check: cache.path(job.key) for check, (job,) in jobs.checks.items()},
    )


def _jobs_of(
    release: Path,
    kind: str,
    split: AuditSplit,
    measuring: MeasureConfig,
    works: Sequence[CheckWork],
    cache: Cache,
) -> ReleaseJobs:
    """The jobs that measure the artefact itself."""
    models = RecipientsJob.of_artefact(
        release, measuring.recipients, device=measuring.device, threads=measuring.threads
    )
    return ReleaseJobs.of([models], kind, split, measuring=measuring, checks=works, cache=cache)


def _chain(jobs: ReleaseJobs) -> Chain:
    """Everything about one artefact, one after the other."""
    return tuple(column[0] for column in jobs.columns)


def _refuse_other(route: RouteConfig, card: Card, key: Path) -> None:
    """Refuse a key of another release before anything is built.

    Raises:
        AuditError: It is one.
    """
    if card.route != route.kind or card.title not in {r.label for r in route.releases}:
        raise AuditError(
            f"this key is of {route.label!r}, and the release is {card.title!r}",
            where=str(key),
            fix="Give the key that was written with the release.",
        )


def _planned_as(route: RouteConfig, card: Card) -> PlannedRelease:
    """Which of a route's releases a card is of; the first where it is none."""
    found = [r for r in route.releases if (r.kind, r.label) == (card.kind, card.title)]
    return (found or list(route.releases))[0]


def _read_key(key: Path) -> tuple[BoolArray, RunConfig, str]:
    try:
        arrays = ArrayFile(key)
        member, about = arrays["member"], json.loads(str(arrays["about"]))
        config, pool = load_config(about["config"]), str(about["pool"])
        member = member.astype(bool)
    except SudareError as error:
        raise AuditError(f"the audit key cannot be read: {error.what}", where=str(key)) from error
    except UNREADABLE as error:
        raise AuditError(f"the audit key cannot be read: {error}", where=str(key)) from error
    if len(config.routes) != 1:
        raise AuditError("the audit key does not say how one release was made", where=str(key))
    return member, config, pool


def _from_images(request: AuditRequest, card: Card, cache: Cache, progress: Progress) -> _Evidence:
    # What the release takes is known: images of another size are resized to it.
    size = request.image_size or card.image_shape[1]
    inside, outside = (
        load_source(str(name), image_size=size, progress=progress).train
        for name in (request.members, request.non_members)
    )
    for part, name in ((inside, request.members), (outside, request.non_members)):
        if part.image_shape != card.image_shape:
            raise DataError(
                f"images are {part.image_shape}, the release takes {card.image_shape}",
                where=str(name),
                fix="Give images as they were given to the release: channels, height, width.",
            )
    refuse_overlap(inside.images, outside.images, where=str(request.non_members))
    if inside.class_names != card.class_names or outside.class_names != card.class_names:
        raise DataError(
            f"the images have classes {inside.class_names}, the release {card.class_names}",
            where=str(request.members),
            fix="Name the class folders as the card does.",
        )
    outside = outside.with_units(outside.unit + 1 + inside.unit.max())
    pool = concatenate([inside, outside])
    member = np.arange(len(pool)) < len(inside)
    nothing = pool[:0]
    split = AuditSplit(
        pool=pool,
        public=nothing,
        population=nothing,
        test=outside.with_units(outside.unit + 1 + pool.unit.max()),
    )
    config = load_config(
        {
            "title": f"Audit of {card.title}",
            "attacks": {"primary": "loss", "queries": request.queries},
            "audit": {"null": request.null, "fail_on": list(request.fail_on)},
        }
    )
    source = Source(
        train=pool,
        test=None,
        name=inside.name,
        licence=inside.licence,
        source=inside.source,
        splits={"members": len(inside), "non-members": len(outside)},
    )
    run = PreparedRun(config=config, source=source, split=split, device=device_of(config))
    works = run.checks(cache)
    jobs = _jobs_of(request.release, card.kind, split, run.measuring(), works, cache)
    with LocalExecutor(cache, workers=1) as executor:
        executor.run([_chain(jobs)], progress=progress, label=f"measuring {card.title}")
    measured = load_measures(
        [], jobs.measures, split, member[None], cache=cache, config=jobs.measuring
    )
    return _Evidence(
        config=config,
        source=source,
        split=split,
        route=Named(name=card.route, kind=card.route, label=card.title),
        measured=measured,
        target=0,
        checks={check: cache.path(job.key) for check, (job,) in jobs.checks.items()},
        limits=(
            "Members and non-members were given, not drawn: if they differ in any other way, an "
            "attack may tell them apart by that.",
            "No shadow builds: only attacks that need none were run, the weakest there are.",
            "Accuracy is measured on the given non-members.",
        ),
    )


def _diagnostics(folder: Path, card: Card) -> str:
    leaks = [f"  {s.name}: {s.value}" for s in card.statistics if s.status == "leak"]
    return "\n".join(
        [
            f"{folder}: {card.title}",
            f"  kind {card.kind}, route {card.route}, guarantee: {card.guarantee or 'none'}",
            *(f"  CONTRADICTION: {text}" for text in wrong_claims(card.ledger, card.guarantee)),
            f"  {len(card.files)} files, {release_bytes(card) / 1e6:.2f} MB, all listed",
            "  numbers computed on private images that leak:" if leaks else "  no number leaks",
            *leaks,
        ]
    )
