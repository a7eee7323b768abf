"""What to do with a release: follows from the answers to its questions and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.audits.decisions.case import Case, Subject
from sudare.audits.decisions.questions import QUESTIONS, Question
from sudare.core.decisions import Answer, Decision, Outcome, Reply
from sudare.core.findings import Finding
from sudare.core.runs import Deployment, Thresholds
from sudare.core.threats import ThreatModel


def decide(
    findings: Sequence[Finding],
    lines: Thresholds,
    threat: Deployment,
    subject: Subject,
    *,
    questions: Sequence[Question] = QUESTIONS,
) -> Decision:
    """The decision on one release: a pure function of what was measured and what was declared.

    Three laws hold. A worse figure never gives a better decision. A measurement less never gives a
    better one. A wider interval never turns into "share". (A null control's own interval is a
    verdict on the audit and no figure: the laws are about the others.)

    Args:
        findings: Of the whole run; those of other releases but the reference are not looked at.
        lines: The declared lines.
        threat: Who will hold the release; figures of attackers who see more do not count.
        subject: What was to be measured of the release.
        questions: What is asked.
    """
    case = Case(subject=subject, lines=lines, findings=seen_by(findings, threat))
    asked = (question.asks(case) for question in questions)
    answers = tuple(answer for answer in asked if answer is not None)
    if any(finding.null_control for finding in case.own):
        # Membership was redrawn: whatever is found is about nobody.
        answers = tuple(
            one.model_copy(update={"reply": Reply.UNDECIDED, "reason": "null_control"})
            for one in answers
        )
    unsound = [a for a in answers if a.question == "sound" and a.reply is not Reply.CLEAN]
    if unsound:
        answers = tuple(_doubted(answer, unsound[0]) for answer in answers)
    return Decision(release=subject.release, outcome=_outcome(answers), answers=answers)


def seen_by(findings: Sequence[Finding], threat: Deployment) -> tuple[Finding, ...]:
    """Findings of attackers who see no more than the declared holder; all where none is declared.

    What the released items show does not depend on who looks.
    """
    if not threat.sees:
        return tuple(findings)
    possible = {*threat.sees, ThreatModel.NONE}
    return tuple(
        finding
        for finding in findings
        if finding.threat_model in possible
        or finding.id.partition(".")[0] in ("privacy", "copies")
        or finding.id.startswith("membership.copies.")
    )


def _doubted(answer: Answer, doubt: Answer) -> Answer:
    """An answer of an audit that is not sound decides nothing, but for what needs no statistics."""
    if answer.question in ("sound", "useful", "copies"):
        return answer
    return answer.model_copy(
        update={"reply": Reply.UNDECIDED, "reason": "unsound", "settle": doubt.settle}
    )


def _outcome(answers: Sequence[Answer]) -> Outcome:
    replies = {answer.reply for answer in answers}
    if Reply.LEAKS in replies:
        return Outcome.REFUSE
    if not answers or replies & {Reply.UNDECIDED, Reply.NOT_MEASURED}:
        return Outcome.UNKNOWN
    return Outcome.CARE if Reply.BETWEEN in replies else Outcome.SHARE
