"""What the top of the report says, from findings only: the answer, what was found, what it means.

A difference whose intervals overlap is one the run cannot tell; no sentence claims more than that.
"""

from __future__ import annotations

from dataclasses import dataclass

from sudare.core.decisions import Outcome
from sudare.core.lines import control_failed
from sudare.core.runs import Mode
from sudare.core.runs import Verdict as GateOutcome
from sudare.core.wording import listed, reworded, say, together
from sudare.report.deployment import holder_sentence, possible
from sudare.report.formats import short_estimate
from sudare.report.found import (
    MOST_NAMES,
    found_and_meant,
    measured_releases,
    null_found_and_meant,
    only_scores,
    tries_of,
)
from sudare.report.load import Run
from sudare.report.text import attack_name, builds_text


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the top of the report says.

    Attributes:
        answer: Which releases to share, by the run's declared lines; empty where none is judged.
        rule: The lines themselves, in words; empty with the answer.
        asked: What was asked and measured.
        control: What makes figures doubtful: failed null controls and warnings; or empty.
        found: Which release leaks most and least, at what utility.
        means: What that means for the choice, and what is not resolved.
        gates: How the gates came out, or empty where there are none.
    """

    answer: str
    rule: str
    asked: str
    control: str
    found: str
    means: str
    gates: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it in reading order."""
        told = (
            self.answer,
            self.rule,
            self.asked,
            self.control,
            self.found,
            self.means,
            self.gates,
        )
        return tuple(text for text in told if text)


def verdict(run: Run) -> Verdict:
    """The verdict on a run, however far it is; of attackers that are possible where it goes."""
    holder = holder_sentence(run)
    run = possible(run)
    releases = sorted(measured_releases(run), key=lambda release: release.auc.value, reverse=True)
    asked = _asked(run)
    answer, rule = "", ""
    if run.summary.null_control and releases:
        found, means = null_found_and_meant(releases)
    else:
        answer, rule = _decision(run), _rule(run) if run.decisions else ""
        rule = together([holder, rule])
        found, means = found_and_meant(run, releases)
    return Verdict(
        answer=answer,
        rule=rule,
        asked=asked,
        control=_doubts(run),
        found=found,
        means=means,
        gates=_gates(run),
    )


def _decision(run: Run) -> str:
    """The title's question answered for each release."""
    named: dict[Outcome, list[str]] = {outcome: [] for outcome in Outcome}
    for name in run.releases:
        if name in run.decisions:
            named[run.decisions[name].outcome].append(_with_reason(run, name))
    return "\n".join(
        say(f"answer_{outcome.value}", names=listed(names))
        for outcome, names in named.items()
        if names
    )


def _with_reason(run: Run, name: str) -> str:
    """A release's label, with what condemns it whatever the attacks on a model say."""
    label = run.label(name)
    if run.shows_members(name):
        return say("answer_contains", one=label)
    return say("answer_betrayed", one=label) if run.bounds_leak(name) else label


def _rule(run: Run) -> str:
    lines = run.summary.thresholds
    return say(
        "answer_rule",
        share=tries_of(lines.share_auc),
        share_worst=tries_of(lines.share_worst),
        refuse=tries_of(lines.refuse_auc),
        refuse_worst=tries_of(lines.refuse_worst),
        useful=tries_of(lines.useful),
    )


def _asked(run: Run) -> str:
    count = max(len(run.releases), 1)
    match run.summary.mode:
        case Mode.COMPARISON:
            key = "asked_one" if count == 1 else "asked_many"
        case Mode.ARTEFACT:
            key = "asked_artefact"
        case Mode.GIVEN:
            key = "asked_scores" if only_scores(run) else "asked_given"
    return say(
        key,
        data=run.summary.data.name,
        one=listed([run.label(name) for name in run.releases], most=MOST_NAMES),
        count=count,
        builds=builds_text(run.summary),
    )


def _doubts(run: Run) -> str:
    """Null controls that failed, and what the audit warns of."""
    told = [say("warning", text=reworded(text)) for text in run.summary.warnings]
    return together([_control(run), *told])


def _control(run: Run) -> str:
    """The null controls that failed: their attack sees something that is no membership."""
    failed = [
        say(
            "control_of",
            attack=attack_name(finding.id.removesuffix(".null_auc")),
            label=run.label(finding.release),
            auc=short_estimate(finding),
        )
        for finding in run.findings
        if control_failed(finding)
    ]
    return say("control_failed", names=listed(failed, most=MOST_NAMES)) if failed else ""


def _gates(run: Run) -> str:
    by_outcome: dict[GateOutcome, list[str]] = {outcome: [] for outcome in GateOutcome}
    for gate in run.summary.gates:
        named = say("gate_on", expression=gate.expression, label=run.label(gate.release))
        by_outcome[gate.verdict].append(named)
    if not run.summary.gates:
        return ""
    counts = say(
        "gates",
        passed=len(by_outcome[GateOutcome.PASS]),
        failed=len(by_outcome[GateOutcome.FAIL]),
        undecided=len(by_outcome[GateOutcome.UNDECIDED]),
        not_evaluable=len(by_outcome[GateOutcome.NOT_EVALUABLE]),
    )
    sentences = [counts]
    for key, outcome in (
        ("gates_failed", GateOutcome.FAIL),
        ("gates_undecided", GateOutcome.UNDECIDED),
    ):
        if by_outcome[outcome]:
            sentences.append(say(key, gates=listed(by_outcome[outcome])))
    return together(sentences)
