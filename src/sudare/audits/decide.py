"""Which releases meet what somebody needs, and what would have to change where none does."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

from sudare.audits.gates import check_figure
from sudare.core.errors import ConfigError
from sudare.core.findings import Finding, Status

__all__ = ["Decision", "Requirement", "decide", "parse_requirement", "said"]

_PATTERN = re.compile(r"\s*([\w.@-]+)\s*(>=|<=)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*")
_SHORT = {
    "accuracy": "utility.accuracy",
    "balanced_accuracy": "utility.balanced_accuracy",
    "ece": "utility.ece",
    "worst_class": "fairness.worst_class",
    "robust_accuracy": "evasion.autoattack.accuracy",
    "epsilon": "privacy.epsilon",
    "transfer_mb": "cost.transfer_mb",
    "storage_mb": "cost.storage_mb",
    "build_cpu_s": "cost.build_cpu_s",
}
_OF_ATTACK = ("auc", "tpr", "exposed_10x", "precision")
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A line that a release's figure must not cross.

    Attributes:
        expression: As given.
        name: Id of the finding, the primary attack's filled in.
        sign: ``>=`` or ``<=``.
        threshold: The line.
    """

    expression: str
    name: str
    sign: str
    threshold: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One release against all requirements.

    Attributes:
        release: Its name.
        holds: Requirement to True (the whole interval is on the right side), False (the whole
            interval is on the wrong one) or None (it contains the line, or was not measured).
        numbers: Requirement to the figure, as text; empty where it was not measured.
        short: Requirement to how far its value is from the line; 0 on the right side.
        shows_members: Whether it contains private images, so that no figure of attacks on models
            trained on them says what it leaks.
    """

    release: str
    holds: dict[str, bool | None]
    numbers: dict[str, str]
    short: dict[str, float]
    shows_members: bool = False

    @property
    def verdict(self) -> str:
        """``qualifies``, ``undecided`` or ``does not``."""
        found = set(self.holds.values())
        if self.shows_members or False in found:
            return "does not"
        return "undecided" if None in found else "qualifies"


def parse_requirement(expression: str, *, primary: str) -> Requirement:
    """A requirement from text such as ``accuracy >= 0.85`` or ``tpr@0.01 <= 0.02``.

    Args:
        expression: A short name or the id of a finding, >= or <=, a number.
        primary: The attack that ``auc`` and ``tpr@...`` are about.

    >>> parse_requirement("tpr@0.01 <= 0.02", primary="rmia").name
    'membership.rmia.tpr@0.01'

    Raises:
        ConfigError: Text of another form, or a figure that is none.
    """
    match = _PATTERN.fullmatch(expression)
    try:
        threshold = float(match[3]) if match else None
    except ValueError:
        threshold = None
    if match is None or threshold is None:
        raise ConfigError(
            f"{expression!r} is not a requirement",
            where="--require",
            fix="Write, for example, 'accuracy >= 0.85' or 'tpr@0.01 <= 0.02'.",
        )
    stem, sign, rate = match[1].partition("@")
    name = f"membership.{primary}.{stem}" if stem in _OF_ATTACK else _SHORT.get(stem, stem)
    name = f"{name}{sign}{rate}"
    check_figure(name, [primary], where="--require", short=[*_SHORT, *_OF_ATTACK])
    return Requirement(expression=expression, name=name, sign=match[2], threshold=threshold)


def decide(
    requirements: Sequence[Requirement],
    findings: Sequence[Finding],
    releases: Sequence[str],
    *,
    showing: Container[str] = (),
) -> list[Decision]:
    """Every release against every requirement, best first.

    A figure that several attackers were measured for counts at its worst. Those that qualify come
    first, then the undecided, then those that miss least, and last those that contain private
    images, which nothing qualifies.

    Args:
        requirements: What is asked for.
        findings: Of a run.
        releases: Names, in any order.
        showing: Releases that contain private images.
    """
    decisions = []
    for release in releases:
        mine = [item for item in findings if item.release == release and not item.group]
        judged = {r.expression: _judged(r, mine) for r in requirements}
        decisions.append(
            Decision(
                release=release,
                holds={name: holds for name, (holds, _, _) in judged.items()},
                numbers={name: text for name, (_, text, _) in judged.items()},
                short={name: short for name, (_, _, short) in judged.items()},
                shows_members=release in showing,
            )
        )
    order = ("qualifies", "undecided", "does not")
    return sorted(
        decisions,
        key=lambda d: (
            d.shows_members,
            order.index(d.verdict),
            sum(held is False for held in d.holds.values()),
            sum(d.short.values()),
        ),
    )


def _judged(requirement: Requirement, mine: Sequence[Finding]) -> tuple[bool | None, str, float]:
    found = [
        item
        for item in mine
        if item.id == requirement.name
        and item.status is Status.MEASURED
        and not item.null_control
        and item.value is not None
    ]
    if not found:
        return None, "", 0.0
    up, at = requirement.sign == ">=", requirement.threshold
    worst = (min if up else max)(found, key=lambda item: item.value or 0.0)
    value = worst.value or 0.0
    low = worst.low if worst.low is not None else value
    high = worst.high if worst.high is not None else value
    compare = _SIGNS[requirement.sign]
    near, far = (low, high) if up else (high, low)
    holds = True if compare(near, at) else None if compare(far, at) else False
    return holds, worst.numbers, 0.0 if compare(value, at) else abs(value - at)


def said(
    decisions: Sequence[Decision],
    requirements: Sequence[Requirement],
    labels: Mapping[str, str],
) -> list[str]:
    """The decision as lines for people.

    Args:
        decisions: Of `decide`.
        requirements: What was asked for.
        labels: Release to what it is called.
    """
    words = {True: "yes", False: "no", None: "?"}
    lines = []
    for decision in decisions:
        parts = [
            f"{r.expression}: {words[decision.holds[r.expression]]} "
            f"({decision.numbers[r.expression] or 'not measured'})"
            for r in requirements
        ]
        name = labels.get(decision.release, decision.release)
        if decision.shows_members:
            parts.insert(0, "contains private images")
        lines.append(f"{decision.verdict.upper()}: {name}: " + "; ".join(parts))
    if not any(decision.verdict == "qualifies" for decision in decisions):
        lines += ["", *_to_change(decisions, requirements, labels)]
    return lines


def _to_change(
    decisions: Sequence[Decision],
    requirements: Sequence[Requirement],
    labels: Mapping[str, str],
) -> list[str]:
    """What would have to change for a release to qualify: each line dropped, and what remains."""
    lines = ["No release is known to qualify. What would have to change:"]
    for dropped in requirements:
        others = [r.expression for r in requirements if r is not dropped]
        meeting = [
            d for d in decisions if not d.shows_members and all(d.holds[name] for name in others)
        ]
        if not meeting:
            lines.append(f"  without '{dropped.expression}' still none qualifies")
            continue
        best = min(meeting, key=lambda d: d.short[dropped.expression])
        name = labels.get(best.release, best.release)
        number = best.numbers[dropped.expression] or "not measured"
        why = "undecided: more builds" if best.holds[dropped.expression] is None else "missed"
        lines.append(f"  '{dropped.expression}': {name} meets all others and has {number} ({why})")
    return lines
