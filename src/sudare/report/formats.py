"""How a finding's number reads: shares, per cent, seconds, megabytes, and why there is none."""

from __future__ import annotations

from sudare.core import Finding, Status
from sudare.report.text import say

__all__ = ["chance_of", "missing_text", "range_text", "short_estimate", "value_text"]


def chance_of(name: str) -> float | None:
    """What guessing gives on a leakage finding; None where chance means nothing."""
    if not name.startswith("membership."):
        return None
    if "tpr@" in name:
        try:
            return float(name.rpartition("tpr@")[2])
        except ValueError:
            return None
    return 0.5 if name.endswith(("auc", "balanced_accuracy", "worst_case")) else None


def value_text(finding: Finding) -> str:
    """The value with its unit, or why there is none."""
    if finding.value is None:
        return missing_text(finding)
    return _number(finding.value, finding)


def range_text(finding: Finding) -> str:
    """The interval as "low to high", or an empty string."""
    if finding.value is None or finding.low is None or finding.high is None:
        return ""
    low, high = _number(finding.low, finding), _number(finding.high, finding)
    return say("range", low=low, high=high)


def short_estimate(finding: Finding) -> str:
    """Value and interval at two digits, for sentences; three where two would hide them."""
    if finding.value is None:
        return missing_text(finding)
    if finding.low is None or finding.high is None:
        return f"{finding.value:.2f}"
    digits = 2 if finding.high - finding.low >= 0.015 else 3
    return say(
        "estimate",
        value=f"{finding.value:.{digits}f}",
        low=f"{finding.low:.{digits}f}",
        high=f"{finding.high:.{digits}f}",
    )


def missing_text(finding: Finding | None, *, running: bool = False) -> str:
    """Why there is no number."""
    if finding is None:
        return say("na_running") if running else say("na_not_planned")
    if finding.status is Status.FAILED:
        return say("na_failed", reason=finding.reason)
    return say("na", reason=finding.reason)


def _number(value: float, finding: Finding) -> str:
    if "tpr@" in finding.id:
        # Two significant digits below one per cent, one decimal above.
        return f"{100 * value:.2g} %" if value < 0.01 else f"{100 * value:.1f} %"
    if finding.id.startswith(("cost.", "privacy.")):
        digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
        unit = finding.unit if finding.unit not in {"", "a share"} else ""
        return f"{digits} {unit}".strip()
    return f"{value:.3f}"
