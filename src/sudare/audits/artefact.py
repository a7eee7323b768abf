"""One artefact, audited as it is: with its key and shadows, or with known members."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sudare.accounting.claims import wrong_claims
from sudare.audits.checks.built_in import checks_of
from sudare.audits.checks.config import CheckConfig
from sudare.audits.checks.jobs import prepare_checks
from sudare.audits.checks.recipient_models import RecipientsJob
from sudare.audits.compare import check
from sudare.audits.config import RunConfig, load_config
from sudare.audits.decisions.foresight import foreseen, said_of
from sudare.audits.decisions.gates import parse_gate
from sudare.audits.evidence import Evidence, membership_nonce
from sudare.audits.folder import check_folder, claim
from sudare.audits.judging import judge_release
from sudare.audits.labels import ReleaseRef
from sudare.audits.limits import limits_of_artefact
from sudare.audits.record import RunRecord, RunResult, data_summary
from sudare.audits.site import (
    PreparedRun,
    ReleaseJobs,
    Site,
    device_of,
    open_site,
    prepare_run,
)
from sudare.core.archives import ArrayFile
from sudare.core.arrays import BoolArray, Float32Array
from sudare.core.errors import (
    AuditError,
    DataError,
    NotEvaluableError,
    SudareError,
)
from sudare.core.files import UNREADABLE
from sudare.core.progress import Progress
from sudare.core.runs import Mode, ReleaseSummary
from sudare.core.wording import say
from sudare.data.images import concatenate, refuse_overlap
from sudare.data.sources import Source, load_source
from sudare.data.splits import AuditSplit
from sudare.fleets.builds import build_jobs
from sudare.fleets.cache import Cache
from sudare.recipients.config import RecipientConfig
from sudare.releases.card import Card
from sudare.releases.store import read_card, release_bytes
from sudare.routes.config import PlannedRelease, RouteConfig


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
        measured = _from_key(request, request.key, folder, cache, progress)
    elif request.members is not None and request.non_members is not None:
        progress.say(
            "Attacks without shadow builds can condemn a release and cannot acquit it: whatever "
            'they find, "share" takes a key (sudare release writes one).'
        )
        measured = _from_images(request, card, cache, progress)
    else:
        progress.say(_diagnostics(request.release, card))
        raise NotEvaluableError(
            "membership is not evaluable without an audit key, or members and non-members",
            where=str(request.release),
            fix="Give --key, or --members and --non-members.",
        )
    config, subject = measured.config, measured.evidence.subject
    claim(folder, config, force=request.force)
    shadows = measured.evidence.trial(config.seed).has_shadows
    planned = ReleaseSummary(
        name=subject.name,
        label=subject.label,
        route=card.route,
        kind=card.kind,
        what_leaves=card.what_leaves,
        builds_planned=config.fleet.builds if shadows else 1,
    )
    record = RunRecord(
        config=config,
        folder=folder,
        pool=measured.split.pool,
        data=data_summary(measured.source, measured.split, config.data.public_groups),
        command=request.command,
        planned=[planned],
        gates=[
            parse_gate(expression, primary=config.attacks.primary) for expression in request.fail_on
        ],
        limits=measured.limits,
        mode=Mode.ARTEFACT if shadows else Mode.GIVEN,
        after_stage=after_stage,
    )
    judged = judge_release(
        measured.evidence, config, progress=progress, covariates=measured.covariates
    )
    record.add_judged(judged, measured.evidence, [request.release], measured.pictures)
    record.complete = True
    return record.write()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Measured:
    """What an audit of one artefact works with."""

    config: RunConfig
    source: Source
    split: AuditSplit
    evidence: Evidence
    covariates: Float32Array | None
    limits: tuple[str, ...]
    pictures: Mapping[CheckConfig, Path]


def _from_key(
    request: AuditRequest, key: Path, folder: Path, cache: Cache, progress: Progress
) -> _Measured:
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
    recipients, checks = run.recipients(planned), checks_of(config, planned)
    progress.say(said_of(foreseen(config, split), len(route.releases)))
    with open_site(run, cache, progress=progress) as site:
        site.features([route], [split.pool, split.public, split.population, split.test])
        builds = build_jobs(run.plan(), route, cache)
        shadows = site.release_jobs(
            run,
            site.models(builds, planned, recipients),
            planned.kind,
            [check for check in checks if check.of_shadows],
        )
        artefact = _jobs_of(request.release, site, run, planned.kind, recipients, checks, member)
        label = f"shadows of {route.label}"
        if lanes := site.at_once(builds, route):
            site.run(lanes, label=label)
        beside = [*artefact.chains(first=True), *shadows.chains(builds)]
        prepare_checks(artefact.works, site.executor, progress=progress, beside=beside)
        site.run([*artefact.chains(), *shadows.chains(builds)], label=label)
    arrays, of_shadows = artefact.arrays(cache), shadows.arrays(cache)
    for kind, named in of_shadows.items():
        # The artefact is one more row; a copy of it stands where its complement would, so that
        # leaving the pair out leaves exactly the shadows in.
        own = arrays[kind]
        arrays[kind] = {n: np.concatenate([named[n], own[n], own[n]]) for n in own}
    membership = np.concatenate([run.membership, [member, ~member]])
    return _Measured(
        config=config,
        source=run.source,
        split=split,
        evidence=_evidence(
            run,
            ReleaseRef(name=planned.name, kind=route.kind, label=planned.label),
            request.release,
            membership,
            len(run.membership),
            arrays,
        ),
        covariates=run.covariates,
        limits=limits_of_artefact(config),
        pictures=_first_entries(artefact, cache),
    )


def _jobs_of(
    release: Path,
    site: Site,
    run: PreparedRun,
    kind: str,
    recipients: RecipientConfig,
    checks: Sequence[CheckConfig],
    members: BoolArray,
) -> ReleaseJobs:
    """The jobs that measure the artefact itself."""
    models = RecipientsJob.of_artefact(
        release, recipients, device=site.device, threads=site.threads
    )
    return site.release_jobs(run, [models], kind, checks, membership=members[None])


def _first_entries(jobs: ReleaseJobs, cache: Cache) -> dict[CheckConfig, Path]:
    return {check: entries[0] for check, entries in jobs.entries(cache).items()}


def _evidence(
    run: PreparedRun,
    subject: ReleaseRef,
    release: Path,
    membership: BoolArray,
    target: int,
    arrays: Mapping[str, Mapping[str, npt.NDArray[Any]]],
) -> Evidence:
    """Evidence of one artefact."""
    split = run.split
    return Evidence(
        membership=membership,
        units=split.pool.unit,
        pool=split.pool,
        population=split.population.classes,
        test=split.test,
        subject=subject,
        card=read_card(release),
        nonce=membership_nonce(split.pool.content_hash, run.config.seed),
        checks=arrays,
        target=target,
    )


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


def _from_images(request: AuditRequest, card: Card, cache: Cache, progress: Progress) -> _Measured:
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
    one = config.model_copy(update={"fleet": config.fleet.model_copy(update={"workers": 1})})
    with open_site(replace(run, config=one), cache, progress=progress) as site:
        checks = checks_of(config)
        jobs = _jobs_of(request.release, site, run, card.kind, run.recipients(), checks, member)
        prepare_checks(jobs.works, site.executor, progress=progress)
        site.run(jobs.chains(), label=f"measuring {card.title}")
    return _Measured(
        config=config,
        source=source,
        split=split,
        evidence=_evidence(
            run,
            ReleaseRef(name=card.route, kind=card.route, label=card.title),
            request.release,
            member[None],
            0,
            jobs.arrays(cache),
        ),
        covariates=None,
        limits=(
            say("limit.given"),
            say("limit.no_shadows"),
            say("limit.given_accuracy"),
        ),
        pictures=_first_entries(jobs, cache),
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
