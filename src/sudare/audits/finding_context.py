"""Findings about one release: what they all share is filled in once."""

from __future__ import annotations

from dataclasses import dataclass

from sudare.core.estimates import Estimate
from sudare.core.findings import Finding, Status
from sudare.core.threats import ThreatModel
from sudare.core.wording import say


@dataclass(frozen=True, kw_only=True)
class FindingContext:
    """Fills in what all findings about one release share."""

    release: str
    route: str
    builds: int
    recipients: int

    def finding(
        self,
        name: str,
        estimate: Estimate,
        *,
        threat: ThreatModel = ThreatModel.NONE,
        unit: str = "share",
        group: str = "",
        attack_hash: str = "",
    ) -> Finding:
        """A finding with an estimate's value, interval and status."""
        blank = Finding(
            id=name,
            release=self.release,
            route=self.route,
            threat_model=threat,
            n_builds=self.builds,
            n_recipients=self.recipients,
            unit=unit,
            group=group,
            status=Status.UNRESOLVABLE,
            reason=say("reason.not_yet"),
            attack_hash=attack_hash,
        )
        return blank.with_estimate(estimate)

    def not_applicable(self, name: str, threat: ThreatModel, reason: str) -> Finding:
        """A finding that could not be measured here, and why."""
        return Finding(
            id=name,
            release=self.release,
            route=self.route,
            threat_model=threat,
            n_builds=self.builds,
            status=Status.NOT_APPLICABLE,
            reason=reason,
        )
