"""Which releases meet what somebody needs, and what would have to change where none does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sudare.audits.decisions.names import check_figure, full_name
from sudare.core.decisions import Decision, Outcome, Reply
from sudare.core.errors import ConfigError
from sudare.core.findings import Finding, Status
from sudare.core.lines import Why, against

_PATTERN = re.compile(r"\s*([\w.@+-]+)\s*([<>])=?\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*")
_DECISION = re.compile(r"\s*decision\s*(!?=)=?\s*(\w+)\s*")


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
class Demand:
    """What a release's decision must be, or must not be.

    Attributes:
        expression: As given.
        outcome: A decision.
        equal: Whether it must be that one.
    """

    expression: str
    outcome: Outcome
    equal: bool


Wanted: TypeAlias = Requirement | Demand


@dataclass(frozen=True, kw_only=True)
class Met:
    """One release against one requirement.

    Attributes:
        holds: True (the whole interval is on the right side), False (it is wholly on the wrong
            one) or None (nothing is decided).
        why: Why nothing is decided.
        number: The figure or decision, as text; empty where there is none.
        short: How far the value is from the line, as a share of the line; 0 on the right side.
    """

    holds: bool | None
    why: Why = "missing"
    number: str = ""
    short: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """One release against all requirements.

    Attributes:
        release: Its name.
        met: Requirement to how it is met.
        refused: Whether private images are known to be inside, so that no figure of attacks on
            models trained on them says what it leaks, and nothing qualifies it.
    """

    release: str
    met: dict[str, Met] = field(default_factory=dict)
    refused: bool = False

    @property
    def verdict(self) -> str:
        """``qualifies``, ``undecided`` or ``does not``."""
        found = {met.holds for met in self.met.values()}
        if self.refused or False in found:
            return "does not"
        return "undecided" if None in found else "qualifies"


def status_of(ranked: Sequence[Ranked]) -> int:
    """Exit status: 0 where one qualifies, 3 where one is undecided, else 1."""
    verdicts = {one.verdict for one in ranked}
    return 0 if "qualifies" in verdicts else 3 if "undecided" in verdicts else 1


def parse_demand(expression: str, *, primary: str) -> Wanted:
    """A requirement, or a demand such as ``decision = share`` or ``decision != refuse``.

    Raises:
        ConfigError: Text of another form, a figure that is none, a decision that is none.
    """
    match = _DECISION.fullmatch(expression)
    if match is None:
        return parse_requirement(expression, primary=primary)
    known = [outcome.value for outcome in Outcome]
    if match[2] not in known:
        raise ConfigError(
            f"there is no decision {match[2]!r}",
            where="--require",
            fix=f"Write one of: {', '.join(known)}.",
        )
    return Demand(expression=expression, outcome=Outcome(match[2]), equal=match[1] == "=")


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
            fix="Write, for example, 'accuracy >= 0.85', 'tpr@0.01 <= 0.02' or 'decision = share'.",
        )
    name = full_name(match[1], primary=primary)
    check_figure(name, [primary], where="--require")
    return Requirement(expression=expression, name=name, sign=f"{match[2]}=", threshold=threshold)


def rank(
    requirements: Sequence[Wanted],
    findings: Sequence[Finding],
    decisions: Mapping[str, Decision],
    releases: Sequence[str],
) -> list[Ranked]:
    """Every release against every requirement, best first.

    A figure that several attackers were measured for counts at the one it fares worst with. Those
    that qualify come first, then the undecided, then those that miss least (each as a share of its
    own line), and last those that are known to contain private images, which nothing qualifies.

    Args:
        requirements: What is asked for.
        findings: Of a run.
        decisions: Release to what to do with it.
        releases: Names, in any order.
    """
    ranked = []
    for release in releases:
        mine = [item for item in findings if item.release == release and not item.group]
        decision = decisions.get(release)
        copies = decision.answer("copies") if decision is not None else None
        ranked.append(
            Ranked(
                release=release,
                met={
                    r.expression: _decided(r, decision)
                    if isinstance(r, Demand)
                    else _measured(r, mine)
                    for r in requirements
                },
                refused=copies is not None and copies.reply is Reply.LEAKS,
            )
        )
    order = ("qualifies", "undecided", "does not")
    return sorted(
        ranked,
        key=lambda one: (
            one.refused,
            order.index(one.verdict),
            sum(met.holds is False for met in one.met.values()),
            sum(met.short for met in one.met.values()),
        ),
    )


def _decided(demand: Demand, decision: Decision | None) -> Met:
    if decision is None:
        return Met(holds=None)
    same = decision.outcome is demand.outcome
    holds: bool | None = same is demand.equal
    if not same and decision.outcome is Outcome.UNKNOWN:
        # What cannot be told may turn out to be either.
        holds = None
    why: Why = "around" if holds is None else ""
    return Met(holds=holds, why=why, number=decision.outcome.value, short=float(not holds))


def _measured(requirement: Requirement, mine: Sequence[Finding]) -> Met:
    up, at = requirement.sign == ">=", requirement.threshold
    each = []
    for item in mine:
        if item.id != requirement.name or item.status is not Status.MEASURED or item.null_control:
            continue
        held = against(item, at, at_most=not up, others=mine)
        value = item.value or 0.0
        beyond = at - value if up else value - at
        short = max(beyond, 0.0) / max(abs(at), 1e-12)
        each.append(Met(holds=held.holds, why=held.why, number=item.numbers, short=short))
    worst = {False: 0, None: 1, True: 2}
    return min(each, key=lambda met: (worst[met.holds], -met.short), default=Met(holds=None))


def said(
    ranked: Sequence[Ranked],
    requirements: Sequence[Wanted],
    labels: Mapping[str, str],
) -> list[str]:
    """What came out, as lines for people.

    Args:
        ranked: Of `rank`.
        requirements: What was asked for.
        labels: Release to what it is called.
    """
    words = {True: "yes", False: "no", None: "?"}
    lines = []
    for one in ranked:
        parts = [
            f"{r.expression}: {words[one.met[r.expression].holds]} "
            f"({one.met[r.expression].number or 'not measured'})"
            for r in requirements
        ]
        name = labels.get(one.release, one.release)
        if one.refused:
            parts.insert(0, "contains private images")
        lines.append(f"{one.verdict.upper()}: {name}: " + "; ".join(parts))
    if not any(one.verdict == "qualifies" for one in ranked):
        lines += ["", *_to_change(ranked, requirements, labels)]
    return lines


def _to_change(
    ranked: Sequence[Ranked],
    requirements: Sequence[Wanted],
    labels: Mapping[str, str],
) -> list[str]:
    """What would have to change for a release to qualify: each line dropped, and what remains."""
    lines = ["No release is known to qualify. What would have to change:"]
    for dropped in requirements:
        others = [r.expression for r in requirements if r is not dropped]
        meeting = [
            one for one in ranked if not one.refused and all(one.met[name].holds for name in others)
        ]
        if not meeting:
            lines.append(f"  without '{dropped.expression}' still none qualifies")
            continue
        best = min(meeting, key=lambda one: one.met[dropped.expression].short)
        met = best.met[dropped.expression]
        name = labels.get(best.release, best.release)
        if not met.number:
            lines.append(
                f"  '{dropped.expression}': {name} meets all others; this was not measured"
            )
            continue
        why = "missed" if met.holds is False else _OPEN[met.why]
        lines.append(
            f"  '{dropped.expression}': {name} meets all others; it has {met.number} ({why})"
        )
    return lines


_OPEN: Mapping[Why, str] = {
    "": "",
    "missing": "not measured",
    "null_control": "membership was redrawn",
    "no_interval": "undecided: measured once, without an interval",
    "no_width": "undecided: equal in every build",
    "around": "undecided: more builds",
    "wrong_way": "undecided: the scores are the wrong way round",
}
