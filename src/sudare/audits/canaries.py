"""Canaries: every route built again with images planted to be remembered, and attacked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sudare.audits.checks.built_in import checks_of
from sudare.audits.checks.covariates import covariates_of
from sudare.audits.checks.membership import judge_test, tests_of, threat_of
from sudare.audits.checks.signal_tables import SignalTables
from sudare.audits.config import RunConfig
from sudare.audits.evidence import Evidence, membership_nonce
from sudare.audits.judging import maker_of, stack_of, trial_of
from sudare.audits.labels import ReleaseRef
from sudare.audits.site import PreparedRun, Site
from sudare.core.arrays import Float32Array
from sudare.core.findings import Finding
from sudare.core.seeds import integer_seed
from sudare.data.canaries import CanaryConfig, CanaryKind, canary_plan, plant
from sudare.fleets.builds import build_jobs, builds_of
from sudare.releases.card import Card
from sudare.routes.config import PlannedRelease, RouteConfig


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
    builds = build_jobs(run.plan(planted.pool, whole.membership, seed), route, site.cache)
    checks = [check for check in checks_of(config, release) if check.kind in ("membership", "cost")]
    jobs = site.release_jobs(
        run, site.models(builds, release, run.recipients(release)), release.kind, checks, scored
    )
    label = f"{canaries.count} {canaries.kind} canaries, {release.label}"
    if lanes := site.at_once(builds, route):
        site.run(lanes, label=label)
    site.run(jobs.chains(builds), label=label)
    evidence = Evidence(
        membership=own.membership,
        units=scored.pool.unit,
        pool=scored.pool,
        population=scored.population.classes,
        test=scored.test,
        subject=ReleaseRef(name=release.name, kind=route.kind, label=release.label),
        card=card,
        nonce=membership_nonce(planted.pool.content_hash, seed),
        checks=jobs.arrays(site.cache),
    )
    return CanaryAudit(
        evidence=evidence,
        findings=canary_findings(evidence, canaries.kind, config, covariates=covariates_of(scored)),
    )


def canary_findings(
    evidence: Evidence,
    kind: CanaryKind,
    config: RunConfig,
    *,
    covariates: Float32Array | None = None,
) -> list[Finding]:
    """Findings ``canaries.<kind>.<test>.<figure>``, apart from the average.

    Args:
        evidence: Scores of the planted images.
        kind: What was planted.
        config: The run.
        covariates: ``float32 [n + m, d]`` of the scored images, or None.
    """
    stack = stack_of(
        evidence,
        config,
        "membership",
        trial=trial_of(evidence, config),
        builds=len(evidence.membership),
        covariates=covariates,
    )
    maker, tables = maker_of(evidence), SignalTables.of(stack)
    findings: list[Finding] = []
    for test in tests_of(config).values():
        table = tables.of_signal(test.signal)
        prefix = f"canaries.{kind}.{test.id.removeprefix('membership.')}"
        if reason := test.attackable(table):
            threat = threat_of(test, evidence.card.kind)
            findings.append(maker.not_applicable(f"{prefix}.auc", threat, reason))
            continue
        judged = judge_test(test, table, stack, maker, name=prefix)
        findings += judged.findings(prior=config.audit.prior)
    return findings
