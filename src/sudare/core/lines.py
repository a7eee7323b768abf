"""An interval against a line: the one place where a figure is held against a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sudare.core.figures import figure_of
from sudare.core.findings import Finding, Status

Why: TypeAlias = Literal[
    "", "missing", "null_control", "no_interval", "no_width", "around", "wrong_way"
]
_HALF, _ROUNDING = 0.5, 1e-9


@dataclass(frozen=True, kw_only=True)
class Held:
    """A figure held against a line.

    Attributes:
        holds: True where the whole interval is on the wanted side, False where it is wholly on the
            other, None where nothing is decided.
        why: Why nothing is decided; empty otherwise.
    """

    holds: bool | None
    why: Why = ""


def holds(
    low: float | None, high: float | None, line: float, *, at_most: bool, exact: bool = False
) -> Held:
    """Whether an interval is at most, or at least, a line.

    A line belongs to its good side: 0.55 is at most 0.55.

    Args:
        low: Lower end, or None.
        high: Upper end, or None.
        line: The line.
        at_most: Which side is wanted.
        exact: Whether the number is known and not estimated; an interval of no width then decides.

    >>> holds(0.5, 0.55, 0.55, at_most=True).holds
    True
    >>> holds(0.5, 0.5, 0.55, at_most=True).why
    'no_width'
    """
    if low is None or high is None:
        return Held(holds=None, why="no_interval")
    if low == high and not exact:
        return Held(holds=None, why="no_width")
    if (high <= line) if at_most else (low >= line):
        return Held(holds=True)
    if (low > line) if at_most else (high < line):
        return Held(holds=False)
    return Held(holds=None, why="around")


def against(
    finding: Finding | None, line: float, *, at_most: bool, others: Sequence[Finding] = ()
) -> Held:
    """Whether a finding is at most, or at least, a line.

    Nothing is decided by what was not measured, by a null control, by a number without an interval
    unless its figure is declared exact, and nothing is acquitted whose scores tell members from
    non-members the wrong way round: an AUC of 0.1 is a leak of 0.9 for whoever turns it around, so
    an AUC is at most a line above one half only if it is at least one minus that line.

    Args:
        finding: The finding.
        line: The line.
        at_most: Which side is wanted.
        others: Findings of the same release, in which the AUC of the same attack is looked up.
    """
    if finding is None or finding.status is not Status.MEASURED or finding.value is None:
        return Held(holds=None, why="missing")
    if finding.null_control:
        return Held(holds=None, why="null_control")
    figure = figure_of(finding.id)
    exact = figure is not None and figure.exact
    low, high = finding.low, finding.high
    if exact and low is None:
        low = high = finding.value
    found = holds(low, high, line, at_most=at_most, exact=exact)
    if not found.holds or not at_most:
        return found
    folded = figure is not None and figure.chance == _HALF and line >= _HALF
    if (folded and low is not None and low < 1 - line) or wrong_way(finding, others):
        return Held(holds=None, why="wrong_way")
    return found


def wrong_way(finding: Finding, others: Sequence[Finding]) -> bool:
    """Whether a rate is of an attack whose whole AUC interval lies below one half."""
    attack, dot, leaf = finding.id.partition("@")[0].rpartition(".")
    figure = figure_of(f"{attack}.auc")
    if not dot or leaf == "auc" or figure is None or figure.chance != _HALF:
        return False
    return any(
        other.id == f"{attack}.auc"
        and other.threat_model == finding.threat_model
        and not other.group
        and other.high is not None
        and other.high < _HALF
        for other in others
    )


def control_failed(finding: Finding) -> bool:
    """Whether a null control found something where there is nothing to find."""
    if not finding.id.endswith(".null_auc") or finding.low is None or finding.high is None:
        return False
    # An attack of one constant score is at 0.5 up to rounding, with an interval of no width.
    return finding.low > _HALF + _ROUNDING or finding.high < _HALF - _ROUNDING


def ordered(lower: Finding, higher: Finding) -> bool | None:
    """Whether one finding is below another: True, False, or None where intervals share a point."""
    if None in (lower.value, lower.low, lower.high, higher.value, higher.low, higher.high):
        return None
    if _apart(lower, higher):
        return True
    return False if _apart(higher, lower) else None


def _apart(one: Finding, other: Finding) -> bool:
    """Whether the whole of one interval lies below the other."""
    return one.high is not None and other.low is not None and one.high < other.low
