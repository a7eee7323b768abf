"""From evidence to findings: one way, for a run, for an artefact, and for whoever verifies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sudare.audits.checks.base import BuildResults, Judgement
from sudare.audits.checks.built_in import checks_of
from sudare.audits.checks.claim import claim_findings
from sudare.audits.checks.registry import make_check
from sudare.audits.checks.trial import Trial
from sudare.audits.config import RunConfig
from sudare.audits.evidence import Evidence
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import BoolArray, Float32Array, FloatArray
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding
from sudare.core.progress import Progress
from sudare.core.seeds import integer_seed
from sudare.core.threats import ThreatModel
from sudare.core.wording import say
from sudare.releases.registry import kind_class


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedRelease:
    """What evidence says about one release.

    Attributes:
        findings: In a stable order.
        membership: ``bool [targets, n]`` that the scores were judged against.
        scores: Id of an attack to its scores ``[targets, n]``, for curves.
        threats: Id of an attack to what its attacker sees.
    """

    findings: tuple[Finding, ...]
    membership: BoolArray
    scores: Mapping[str, FloatArray]
    threats: Mapping[str, ThreatModel]


def judge_release(
    evidence: Evidence,
    config: RunConfig,
    *,
    progress: Progress,
    covariates: Float32Array | None = None,
) -> JudgedRelease:
    """Every finding that follows from the evidence about a release.

    Args:
        evidence: What was measured.
        config: The run.
        progress: Where to report; one step for each check.
        covariates: ``float32 [n + m, d]`` of the scored images, or None; they are in no evidence.
    """
    start = time.process_time()
    judged: dict[str, Judgement] = {}
    trial = trial_of(evidence, config)
    measured = [check for check in checks_of(config) if evidence.checks.get(check.kind)]
    steps = len(measured) + len(config.attacks.membership)
    with progress.stage(f"attacks on {evidence.subject.label}", steps) as bar:
        for check in measured:
            # A check may measure the first builds only; shadows of an artefact are no targets.
            rows = min(len(values) for values in evidence.checks[check.kind].values())
            builds = min(len(evidence.membership) if evidence.target is None else 1, rows)
            stack = stack_of(
                evidence,
                config,
                check.kind,
                trial=trial,
                builds=builds,
                covariates=covariates,
                judged=judged,
                step=bar.advance,
            )
            maker = maker_of(evidence, builds=builds)
            judged[check.kind] = make_check(check).judge(stack, maker)
            bar.advance()
    maker = maker_of(evidence)
    findings = [finding for one in judged.values() for finding in one.findings]
    findings += claim_findings(maker, evidence.card)
    spent = time.process_time() - start + _measuring(evidence)
    once = Estimate(value=spent, low=None, high=None, n=0, method=say("method.once"))
    findings.append(maker.finding("cost.audit_cpu_s", once, unit="s"))
    attacked = judged.get("membership", Judgement(findings=[]))
    return JudgedRelease(
        findings=tuple(findings),
        membership=trial.members,
        scores=attacked.scores,
        threats=attacked.threats,
    )


def trial_of(evidence: Evidence, config: RunConfig) -> Trial:
    """Who was a member; drawn anew in a run that is a null control."""
    trial = evidence.trial(config.seed)
    return trial.under_null() if config.audit.null else trial


def stack_of(
    evidence: Evidence,
    config: RunConfig,
    kind: str,
    *,
    trial: Trial,
    builds: int,
    covariates: Float32Array | None = None,
    judged: Mapping[str, Judgement] | None = None,
    step: Callable[[], None] = lambda: None,
) -> BuildResults:
    """What a kind of check is judged by.

    Args:
        evidence: Of the release.
        config: The run.
        kind: The kind of check.
        trial: Who was a member.
        builds: How many targets it measured.
        covariates: ``float32 [n + m, d]`` of the scored images, or None.
        judged: What checks before it said.
        step: Called after each attack.
    """
    return BuildResults(
        arrays=evidence.checks[kind],
        every=evidence.checks,
        judged=judged or {},
        trial=trial,
        labels=evidence,
        population=evidence.population,
        covariates=covariates,
        card=evidence.card,
        config=config,
        seed=integer_seed(config.seed, "judge", evidence.subject.name, kind),
        builds=builds,
        controls=_controls(config, evidence.card.kind),
        step=step,
    )


def maker_of(evidence: Evidence, *, builds: int | None = None) -> FindingContext:
    """What findings about a release share.

    Args:
        evidence: The release's.
        builds: How many were measured; all targets if None.
    """
    cost = evidence.checks.get("cost", {})
    targets = len(evidence.membership) if evidence.target is None else 1
    return FindingContext(
        release=evidence.subject.name,
        route=evidence.subject.kind,
        builds=targets if builds is None else builds,
        recipients=int(cost["recipients"][0]) if "recipients" in cost else 0,
    )


def _measuring(evidence: Evidence) -> float:
    """Seconds that signals took on the builds the findings are about."""
    seconds = evidence.checks.get("membership", {}).get("cpu_s")
    if seconds is None:
        return 0.0
    return float(np.sum(seconds if evidence.target is None else seconds[evidence.target]))


def _controls(config: RunConfig, kind: str) -> int:
    """Null controls of the whole run: one for each attack on each release."""
    attacks = len(config.attacks.membership)
    for check in config.checks:
        attacks += len(make_check(check).attacks(kind_class(kind)))
    return attacks * max(1, len(config.routes))
