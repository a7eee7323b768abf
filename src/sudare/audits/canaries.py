"""The worst case on purpose: every route built again with canaries planted, and attacked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sudare.attacks.registry import make_test
from sudare.audits.config import RunConfig
from sudare.audits.evidence import Evidence, membership_nonce
from sudare.audits.findings import maker_of, null_seed, redrawn, threat_of
from sudare.audits.labels import Named, Subject
from sudare.audits.measure import Measured, load_measures, measure_jobs
from sudare.audits.membership import JudgedTest
from sudare.audits.site import PreparedRun, Site
from sudare.core.findings import Finding
from sudare.core.seeds import integer_seed
from sudare.data.canaries import CanaryConfig, CanaryKind, canary_plan, plant
from sudare.fleets.builds import builds_of
from sudare.releases.card import Card
from sudare.routes.config import PlannedRelease, RouteConfig

__all__ = ["CanaryAudit", "audit_canaries", "canary_findings"]


@dataclass(frozen=True, kw_only=True)
class CanaryAudit:
    """What canaries gave.

    Attributes:
        evidence: What the findings were computed from.
        findings: In a stable order.
    """

    evidence: Evidence
    findings: list[Finding]


def audit_canaries(
    run: PreparedRun,
    site: Site,
    route: RouteConfig,
    release: PlannedRelease,
    card: Card,
    canaries: CanaryConfig,
) -> CanaryAudit:
    """Plant canaries, build and measure a route with them, and judge.

    A fixed set is in or out by complementary pairs of coins; everything else is always in.

    Source:
        Aerni, Zhang and Tramer 2024, "Evaluations of machine learning privacy defenses are
        misleading" (arXiv 2404.17399).
    """
    config, split = run.config, run.split
    seed = integer_seed(config.seed, "canaries", str(canaries.kind))
    planted = plant(split.pool, canaries, seed=seed)
    whole, own = canary_plan(planted, builds=builds_of(route, config.fleet.builds), seed=seed)
    scored = replace(split, pool=planted.pool[planted.rows])
    measuring = run.measuring(release)
    builds, models = site.builds(
        run.plan(planted.pool, whole.membership, seed), route, release, measuring
    )
    measures = measure_jobs(models, scored, cache=site.cache, config=measuring)
    label = f"{canaries.count} {canaries.kind} canaries, {release.label}"
    if lanes := site.at_once(builds, route):
        site.run(lanes, label=label)
    site.run(list(zip(builds, models, measures, strict=True)), label=label)
    measured = load_measures(
        builds,
        measures,
        scored,
        own.membership,
        cache=site.cache,
        config=measuring,
        traces=False,
    )
    subject = Named(name=release.name, kind=route.kind, label=release.label)
    return CanaryAudit(
        evidence=Evidence(
            measured=measured,
            pool=scored.pool,
            test=scored.test,
            subject=subject,
            card=card,
            nonce=membership_nonce(planted.pool.content_hash, seed),
        ),
        findings=canary_findings(measured, subject, card, canaries.kind, config),
    )


def canary_findings(
    measured: Measured, route: Subject, card: Card, kind: CanaryKind, config: RunConfig
) -> list[Finding]:
    """Findings ``canaries.<kind>.<test>.<figure>``, apart from the average."""
    whole = measured.table
    if config.audit.null:
        whole = redrawn(whole, null_seed(config, 0), None)
    maker = maker_of(route, card, measured)
    findings: list[Finding] = []
    settings: Mapping[str, dict[str, object]] = config.attacks.settings
    for name in config.attacks.membership:
        test = make_test(name, settings.get(name, {}))
        table, threat = measured.table_for(test.signal, whole), threat_of(test, card.kind)
        prefix = f"canaries.{kind}.{test.id.removeprefix('membership.')}"
        if reason := test.attackable(table):
            findings.append(maker.not_applicable(f"{prefix}.auc", threat, reason))
            continue
        judged = JudgedTest(
            maker=maker,
            test=test,
            scores=test.scores(table),
            members=table.membership,
            units=table.units,
            threat=threat,
            config=config,
            prefix=prefix,
        )
        findings += judged.findings()
    return findings
