"""From evidence to findings: one way, for a run, for an artefact, and for whoever verifies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sudare.audits.checks.jobs import judge_checks
from sudare.audits.config import RunConfig
from sudare.audits.evidence import Evidence
from sudare.audits.findings import ReleaseAudit, audit_release, maker_of
from sudare.audits.maker import FindingMaker
from sudare.core.findings import Finding
from sudare.core.progress import Progress

__all__ = ["JudgedRelease", "Kept", "judge_release"]

Kept: TypeAlias = Callable[[Callable[[], ReleaseAudit]], ReleaseAudit]
"""Gives what attacks found: makes it, or knows it already."""


@dataclass(frozen=True, kw_only=True)
class JudgedRelease:
    """What evidence says about one release.

    Attributes:
        audit: Findings of utility, membership, costs and claim, with the scores behind them.
        checks: Findings of the checks.
        maker: Fills in what findings about the release share.
    """

    audit: ReleaseAudit
    checks: list[Finding]
    maker: FindingMaker

    @property
    def findings(self) -> list[Finding]:
        """All of them."""
        return [*self.audit.findings, *self.checks]


def judge_release(
    evidence: Evidence,
    config: RunConfig,
    *,
    progress: Progress,
    kept: Kept = lambda make: make(),
) -> JudgedRelease:
    """Every finding that follows from the evidence about a release.

    Args:
        evidence: What was measured.
        config: The run.
        progress: Where to report.
        kept: Where attacks that ran before are kept.
    """
    measured, target = evidence.measured, evidence.target
    audit = kept(
        lambda: audit_release(
            measured,
            evidence,
            evidence.subject,
            evidence.card,
            config,
            target=target,
            progress=progress,
        )
    )
    # Of one artefact the checks measured that artefact and none of its shadows.
    builds = None if target is None else 1
    maker = maker_of(evidence.subject, evidence.card, measured, builds=builds)
    checks = judge_checks(
        config.checks,
        evidence.checks,
        maker,
        # Redrawn under --null, so that checks are controlled as attacks are.
        membership=audit.membership,
        units=measured.table.units,
        labels=evidence,
        seed=config.seed,
        draws=config.audit.draws,
    )
    return JudgedRelease(audit=audit, checks=checks, maker=maker)
