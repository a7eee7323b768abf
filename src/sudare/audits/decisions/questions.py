"""What a release must answer before it leaves: one function a question, from findings alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sudare.audits.decisions.answers import (
    FAULT,
    LEAST_BUILDS,
    by_proof,
    contrast,
    difference,
    two_lines,
    what_lacks,
    worst,
)
from sudare.audits.decisions.case import Case
from sudare.core.decisions import Answer, Reply, Settle
from sudare.core.findings import Status
from sudare.core.lines import against, control_failed, holds
from sudare.core.runs import Mode


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question.

    Attributes:
        id: Its id.
        asks: The answer, or None where it is not asked of such a release.
        label: What it asks, where the report has no words of its own for it.
    """

    id: str
    asks: Callable[[Case], Answer | None] = field(repr=False)
    label: str = ""


def _copies(case: Case) -> Answer | None:
    if not case.subject.holds_items:
        return None
    exact = case.get("membership.copies.tpr")
    if exact is not None and exact.value is not None and not exact.null_control and exact.value > 0:
        return Answer(
            question="copies", reply=Reply.LEAKS, findings=(exact.id,), line=0.0, reason="exact"
        )
    check = Settle(what="check", name="copies")
    excess, power = case.get("copies.excess"), case.get("copies.power")
    made = {"question": "copies", "line": 0.0}
    uncounted = (exact is None or exact.value is None) and case.subject.shows_set
    if uncounted or excess is None or power is None:
        return Answer(**made, reply=Reply.NOT_MEASURED, reason="missing", settle=check)
    names = ("copies.excess",)
    if excess.status is not Status.MEASURED or excess.null_control:
        return Answer(**made, reply=Reply.UNDECIDED, findings=names, reason="missing", settle=check)
    if against(excess, 0.0, at_most=True).holds is False:
        return Answer(**made, reply=Reply.LEAKS, findings=names, reason="near")
    if (excess.value or 0.0) > 0:
        pair = Settle(what="pair")
        return Answer(**made, reply=Reply.UNDECIDED, findings=names, reason="few", settle=pair)
    if against(power, case.lines.least_power, at_most=False).holds is not True:
        return Answer(
            **made,
            reply=Reply.UNDECIDED,
            findings=("copies.power",),
            reason="blind",
            settle=Settle(what="images"),
        )
    return Answer(**made, reply=Reply.CLEAN, findings=names, reason="none")


def _average(case: Case) -> Answer | None:
    lines, subject = case.lines, case.subject
    if case.proven(lines.share_auc):
        return by_proof("average", lines.share_auc)
    aucs, absent = case.aucs(), _absent(case)
    answers = []
    if absent or not aucs:
        attack = Settle(what="attack", name=absent[0] if absent else subject.primary)
        answers.append(
            Answer(
                question="average",
                reply=Reply.NOT_MEASURED,
                line=lines.share_auc,
                reason="missing",
                settle=attack,
            )
        )
    answers += [
        two_lines(
            "average",
            finding,
            lines.share_auc,
            lines.refuse_auc,
            case.own,
            missing=what_lacks(finding),
            condemning=case.corrected(finding),
        )
        for finding in aucs
    ]
    found = worst(answers)
    if subject.mode is Mode.GIVEN and found.reply in (Reply.CLEAN, Reply.BETWEEN):
        # Attacks without shadow builds can condemn a model; they cannot acquit one.
        return found.model_copy(
            update={
                "reply": Reply.NOT_MEASURED,
                "reason": "no_shadows",
                "settle": Settle(what="shadows"),
            }
        )
    return found


def _absent(case: Case) -> list[str]:
    """Attacks that were to run and of which there is no word."""
    seen = {f.id for f in case.own}
    return [attack for attack in case.subject.attacks if f"{attack}.auc" not in seen]


def _most_exposed(case: Case) -> Answer | None:
    lines, subject = case.lines, case.subject
    if case.proven(lines.share_worst):
        return by_proof("worst", lines.share_worst)
    few = Settle(what="builds", count=LEAST_BUILDS)
    if subject.mode is Mode.GIVEN:
        few = Settle(what="shadows")
    elif subject.builds >= LEAST_BUILDS:
        few = Settle(what="units")
    return two_lines(
        "worst",
        case.get(f"{subject.primary}.worst_case"),
        lines.share_worst,
        lines.refuse_worst,
        case.own,
        missing=few,
    )


def _bounds(case: Case) -> Answer | None:
    if not case.subject.holds_ranges:
        return None
    members, others = (case.get(f"sampler.bounds.{rate}") for rate in ("tpr", "fpr"))
    made = {"question": "bounds", "line": 0.0}
    if members is not None and members.status is Status.NOT_APPLICABLE:
        return Answer(**made, reply=Reply.CLEAN, findings=(members.id,), reason="none")
    if members is None or others is None or members.value is None or others.value is None:
        check = Settle(what="check", name="sampler")
        return Answer(**made, reply=Reply.NOT_MEASURED, reason="missing", settle=check)
    made["findings"] = (members.id, others.id)
    if members.value <= others.value:
        return Answer(**made, reply=Reply.CLEAN, reason="none")
    # Where no other image lies on a bound, one member on it is that member's own number.
    if others.value == 0 or holds(*difference(members, others), 0.0, at_most=True).holds is False:
        return Answer(**made, reply=Reply.LEAKS, reason="above")
    builds = Settle(what="builds", count=2 * max(members.n_builds, 4))
    return Answer(**made, reply=Reply.UNDECIDED, reason="around", settle=builds)


def _planted(case: Case) -> Answer | None:
    lines, subject = case.lines, case.subject
    if not subject.planted:
        return None
    leaf = subject.primary.partition(".")[2]
    return worst(
        two_lines(
            "planted",
            case.get(f"canaries.{kind}.{leaf}.auc"),
            lines.share_worst,
            lines.refuse_worst,
            case.own,
            missing=Settle(what="check", name="canaries"),
        )
        for kind in subject.planted
    )


def _inversion(case: Case) -> Answer | None:
    if not case.subject.inverted:
        return None
    return worst((_inverted_copies(case), _inverted_classes(case)))


def _inverted_copies(case: Case) -> Answer:
    """Whether an attack image is a private one."""
    near = case.get("inversion.near_excess")
    made = {"question": "inversion", "line": 0.0}
    if near is None or near.value is None or near.null_control:
        check = Settle(what="check", name="inversion")
        return Answer(**made, reply=Reply.NOT_MEASURED, reason="missing", settle=check)
    names = (near.id,)
    if against(near, 0.0, at_most=True).holds is False:
        return Answer(**made, reply=Reply.LEAKS, findings=names, reason="near")
    if near.value > 0:
        builds = Settle(what="builds")
        return Answer(**made, reply=Reply.UNDECIDED, findings=names, reason="few", settle=builds)
    return Answer(**made, reply=Reply.CLEAN, findings=names, reason="none")


def _inverted_classes(case: Case) -> Answer:
    """Whether attack images show what classes look like."""
    lines = case.lines
    found, control = case.get("inversion.top1"), case.get("inversion.random_top1")
    made = {"question": "inversion", "line": lines.share_inversion}
    if found is None or control is None or found.value is None or control.value is None:
        check = Settle(what="check", name="inversion")
        return Answer(**made, reply=Reply.NOT_MEASURED, reason="missing", settle=check)
    # What the prior alone gives against a net that knows nothing is no leak of this release.
    names = (found.id, control.id)
    low, high = (None if end is None else end - control.value for end in (found.low, found.high))
    if holds(low, high, lines.refuse_inversion, at_most=True).holds is False:
        return Answer(**made, reply=Reply.LEAKS, findings=names, reason="above")
    share = holds(low, high, lines.share_inversion, at_most=True)
    if share.holds:
        return Answer(**made, reply=Reply.CLEAN, findings=names, reason="below")
    if holds(low, high, lines.refuse_inversion, at_most=True).holds:
        return Answer(**made, reply=Reply.BETWEEN, findings=names, reason="between")
    return Answer(
        **made,
        reply=Reply.UNDECIDED,
        findings=names,
        reason=share.why,
        settle=Settle(what="builds"),
    )


def _claim(case: Case) -> Answer | None:
    if not case.subject.claims:
        return None
    line = case.lines.claimed_epsilon
    epsilon = case.get("privacy.epsilon")
    left_out = case.get("privacy.left_out")
    if refuting := [*([left_out] if left_out is not None else []), *case.refuting()]:
        names = tuple(f.id for f in refuting)
        return Answer(
            question="claim", reply=Reply.LEAKS, findings=names, line=line, reason="refuted"
        )
    found = against(epsilon, line, at_most=True)
    aucs = case.aucs()
    unmeasured = [f for f in aucs if f.value is None]
    if found.holds is None or case.get("privacy.auc_ceiling") is None or not aucs or _absent(case):
        attack = Settle(what="attack", name=case.subject.primary)
        return Answer(
            question="claim",
            reply=Reply.NOT_MEASURED,
            line=line,
            reason="missing",
            settle=attack,
        )
    if unmeasured:
        return Answer(
            question="claim",
            reply=Reply.UNDECIDED,
            findings=tuple(f.id for f in unmeasured),
            line=line,
            reason="missing",
            settle=what_lacks(unmeasured[0]),
        )
    reply = Reply.CLEAN if found.holds else Reply.BETWEEN
    return Answer(question="claim", reply=reply, findings=("privacy.epsilon",), line=line)


# No second figure steps in where it is missing: of uneven classes accuracy says better things.
_UTILITY = "utility.balanced_accuracy"


def _useful(case: Case) -> Answer | None:
    lines, subject = case.lines, case.subject
    chance = 1 / max(subject.classes, 2)
    own = case.get(_UTILITY)
    made = {"question": "useful", "line": lines.useful}
    missing = Answer(
        **made, reply=Reply.NOT_MEASURED, reason="missing", settle=Settle(what="images")
    )
    if own is None or own.value is None:
        return missing
    if not subject.reference:
        # No plain net in this run: held against always right, at a lower share.
        line = chance + lines.useful_alone * (1 - chance)
        low, high = (own.low, own.high)
        names: tuple[str, ...] = (own.id,)
        found = holds(low, high, line, at_most=False)
    else:
        plain = case.get(own.id, subject.reference)
        if plain is None or plain.value is None:
            reference = Settle(what="reference")
            return missing.model_copy(update={"settle": reference})
        names = (own.id,)
        if subject.release == subject.reference:
            found = holds(own.low, own.high, chance, at_most=False)
        else:
            low, high = contrast(own, plain, lines.useful, chance)
            found = holds(low, high, 0.0, at_most=False)
    if found.holds is None:
        return Answer(
            **made,
            reply=Reply.UNDECIDED,
            findings=names,
            reason=found.why,
            settle=Settle(what="images" if own.n_builds > 1 else "builds"),
        )
    reply = Reply.CLEAN if found.holds else Reply.LEAKS
    return Answer(
        **made, reply=reply, findings=names, reason="useful" if found.holds else "useless"
    )


def _sound(case: Case) -> Answer | None:
    half = 0.5
    failed = [f.id for f in case.own if control_failed(f)]
    if failed:
        return Answer(
            question="sound",
            reply=Reply.UNDECIDED,
            findings=tuple(failed),
            line=half,
            reason="control",
            settle=FAULT,
        )
    aucs = case.aucs()
    controls = {f.id for f in case.own if f.id.endswith(".null_auc") and f.value is not None}
    bare = [
        f.id
        for f in aucs
        if f.value is not None and f"{f.id.removesuffix('.auc')}.null_auc" not in controls
    ]
    if bare:
        return Answer(
            question="sound",
            reply=Reply.NOT_MEASURED,
            findings=tuple(bare),
            line=half,
            reason="no_control",
            settle=FAULT,
        )
    turned = [
        f.id
        for f in aucs
        if (ends := case.corrected(f)).high is not None and ends.high < 1 - case.lines.share_auc
    ]
    if turned:
        return Answer(
            question="sound",
            reply=Reply.UNDECIDED,
            findings=tuple(turned),
            line=half,
            reason="wrong_way",
            settle=FAULT,
        )
    return Answer(question="sound", reply=Reply.CLEAN, line=half)


QUESTIONS: tuple[Question, ...] = (
    Question(id="copies", asks=_copies),
    Question(id="average", asks=_average),
    Question(id="worst", asks=_most_exposed),
    Question(id="bounds", asks=_bounds),
    Question(id="planted", asks=_planted),
    Question(id="inversion", asks=_inversion),
    Question(id="claim", asks=_claim),
    Question(id="useful", asks=_useful),
    Question(id="sound", asks=_sound),
)
