"""How a finding's number reads: shares, per cent, seconds, megabytes, and why there is none."""

from __future__ import annotations

from sudare.core import Finding, Status
from sudare.core.figures import figure_of, rate_of
from sudare.core.wording import reworded, say

_UNSAID = frozenset({"", "share", "a share", "epsilon"})


def chance_of(name: str) -> float | None:
    """What guessing gives on a finding; None where chance means nothing."""
    figure = figure_of(name)
    if figure is None or figure.chance is None:
        return None
    return rate_of(name) if figure.chance == "rate" else figure.chance


def value_text(finding: Finding) -> str:
    """The value with its unit, or why there is none."""
    if finding.value is None:
        return missing_text(finding)
    return _with_unit(_digits(finding.value, finding), finding)


def range_text(finding: Finding) -> str:
    """The interval as "low to high" with the unit once, or an empty string."""
    if finding.low is None or finding.high is None or finding.low == finding.high:
        return ""
    low, high = _digits(finding.low, finding), _digits(finding.high, finding)
    if low == high:
        # Narrower than what is printed: "0.477 to 0.477" tells nobody anything.
        return ""
    return _with_unit(say("range", low=low, high=high), finding)


def short_estimate(finding: Finding) -> str:
    """Value and interval at two digits, for sentences; three where two would hide them."""
    if finding.value is None:
        return missing_text(finding)
    if finding.low is None or finding.high is None:
        return f"{finding.value:.2f}"
    # One build, or a figure that is no estimate: an interval without width would claim too much.
    if finding.low == finding.high:
        return f"{finding.value:.3f}"
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
        return say("na_failed", reason=reworded(finding.reason))
    return say("na", reason=reworded(finding.reason))


def _digits(value: float, finding: Finding) -> str:
    if _format(finding) == "percent":
        # Two significant digits below one per cent, one decimal above.
        share = 100 * value
        return f"{share:.2g}" if 0 < value < 0.01 else f"{share:.1f}"
    if _format(finding) == "quantity":
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:.3f}"


def _with_unit(digits: str, finding: Finding) -> str:
    if _format(finding) == "percent":
        return say("percent", value=digits)
    said = _format(finding) == "quantity" and finding.unit not in _UNSAID
    return f"{digits} {finding.unit}" if said else digits


def _format(finding: Finding) -> str:
    figure = figure_of(finding.id)
    return "number" if figure is None else figure.format
