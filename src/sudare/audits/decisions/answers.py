"""Answers from figures held against lines: one figure, two figures, the worst of several."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sudare.core.decisions import Answer, Reply, Settle
from sudare.core.findings import Finding, Status
from sudare.core.lines import against

FAULT = Settle(what="fault")
LEAST_BUILDS = 8
"""Builds from which the most exposed are measured: chosen on half, measured on the rest."""
_MOST_BUILDS = 4096
_FEW_NON_MEMBERS = 30

_WORST_FIRST = (
    Reply.LEAKS,
    Reply.NOT_MEASURED,
    Reply.UNDECIDED,
    Reply.BETWEEN,
    Reply.CLEAN,
)


def worst(answers: Iterable[Answer]) -> Answer:
    """The worst of several answers to one question; findings of equally bad ones are kept."""
    ordered = sorted(answers, key=lambda one: _WORST_FIRST.index(one.reply))
    first = ordered[0]
    same = [one for one in ordered if one.reply is first.reply]
    findings = tuple(dict.fromkeys(name for one in same for name in one.findings))
    return first.model_copy(update={"findings": findings})


def two_lines(
    question: str,
    finding: Finding | None,
    share: float,
    refuse: float,
    others: Sequence[Finding],
    *,
    missing: Settle,
    condemning: Finding | None = None,
) -> Answer:
    """A leak against the line below which one shares and the line above which one refuses.

    Args:
        question: Its id.
        finding: What was measured.
        share: At most this to share.
        refuse: Above this, refuse.
        others: Findings of the release.
        missing: What would settle it where nothing was measured.
        condemning: The same finding with ends that hold for all attacks at once; condemning takes
            these, acquitting by every attack does not need them.
    """
    if finding is None or finding.status is not Status.MEASURED:
        reply = Reply.NOT_MEASURED
        if finding is not None and finding.status is Status.UNRESOLVABLE:
            reply = Reply.UNDECIDED
        names = (finding.id,) if finding is not None else ()
        return Answer(
            question=question,
            reply=reply,
            findings=names,
            line=share,
            reason="missing",
            settle=missing,
        )
    made = {"question": question, "findings": (finding.id,)}
    if against(condemning or finding, refuse, at_most=True).holds is False:
        return Answer(**made, reply=Reply.LEAKS, line=refuse, reason="above")
    acquits = against(finding, share, at_most=True, others=others)
    if acquits.holds:
        return Answer(**made, reply=Reply.CLEAN, line=share, reason="below")
    below = against(finding, refuse, at_most=True, others=others)
    if below.holds:
        return Answer(**made, reply=Reply.BETWEEN, line=share, reason="between")
    if "wrong_way" in (acquits.why, below.why):
        return Answer(**made, reply=Reply.UNDECIDED, line=share, reason="wrong_way", settle=FAULT)
    return Answer(
        **made,
        reply=Reply.UNDECIDED,
        line=refuse,
        reason=below.why or "around",
        settle=_more_builds(finding, share, refuse),
    )


def _more_builds(finding: Finding, share: float, refuse: float) -> Settle:
    """How many builds would settle it if the value stayed: intervals shrink with their root."""
    value, low, high = finding.value, finding.low, finding.high
    if value is None or low is None or high is None or low == high:
        return Settle(what="builds", count=LEAST_BUILDS)
    # The line that is farthest among those that would give an answer at this value.
    room = max(refuse - value if value <= refuse else 0.0, value - refuse, share - value)
    width = max(high - value, value - low)
    if room <= 0 or not finding.n_builds:
        return Settle(what="builds")
    wanted = finding.n_builds * (width / room) ** 2
    count = 2 * math.ceil(min(wanted, _MOST_BUILDS) / 2)
    return Settle(what="builds", count=max(count, finding.n_builds + 2))


def by_proof(question: str, line: float) -> Answer:
    """Clean: a guarantee bounds what no measurement could show."""
    return Answer(
        question=question,
        reply=Reply.CLEAN,
        findings=("privacy.auc_ceiling",),
        line=line,
        proven=True,
        reason="proof",
    )


def difference(one: Finding, other: Finding) -> tuple[float | None, float | None]:
    """The interval of a difference from the intervals of its parts.

    Source:
        Zou and Donner 2008, "Construction of confidence limits about effect measures" (MOVER).
    """
    return contrast(one, other, 1.0, 0.0)


def contrast(
    one: Finding, other: Finding, factor: float, base: float
) -> tuple[float | None, float | None]:
    """Ends of (one - base) - factor (other - base), by MOVER."""
    if one.value is None or other.value is None:
        return None, None
    low, high, below, above = one.low, one.high, other.low, other.high
    if low is None or high is None or below is None or above is None:
        return None, None
    if low == high or below == above:
        return None, None
    value = (one.value - base) - factor * (other.value - base)
    down = math.hypot(one.value - low, factor * (above - other.value))
    up = math.hypot(high - one.value, factor * (other.value - below))
    return value - down, value + up


def what_lacks(finding: Finding) -> Settle:
    """What an attack without a figure lacks."""
    if "builds" in finding.reason:
        return Settle(what="builds", count=LEAST_BUILDS)
    return Settle(what="units", count=_FEW_NON_MEMBERS)
