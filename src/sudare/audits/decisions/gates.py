"""Gates: thresholds on findings that decide an exit status, never by the point estimate alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sudare.audits.decisions.names import check_figure, full_name, nearest
from sudare.core.errors import ConfigError
from sudare.core.findings import Finding
from sudare.core.lines import against
from sudare.core.runs import GateResult, Verdict
from sudare.core.wording import say

_PATTERN = re.compile(
    r"\s*(?:(?P<release>[\w.+-]+)\s*:\s*)?(?P<name>[\w.@+-]+)\s*(?P<sign>[<>])\s*(?P<value>[-+.\deE]+)\s*"
)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Fails when a finding is above (or below) a threshold.

    Attributes:
        expression: As given.
        release: Only this release, or all when empty.
        name: Id of the finding.
        above: True for ``>``.
        threshold: The threshold.
    """

    expression: str
    release: str
    name: str
    above: bool
    threshold: float


def parse_gate(expression: str, *, primary: str = "") -> Gate:
    """A gate from text such as ``membership.lira.tpr@0.01 > 0.05`` or ``plain: auc > 0.6``.

    Args:
        expression: A release and a colon or nothing, an id or short name, > or <, a number.
        primary: The attack that ``auc`` and ``tpr@...`` are about.

    >>> parse_gate("plain: membership.lira.auc > 0.6").threshold
    0.6

    Raises:
        ConfigError: Text of another form.
    """
    match = _PATTERN.fullmatch(expression)
    try:
        threshold = float(match["value"]) if match else None
    except ValueError:
        threshold = None
    if match is None or threshold is None:
        raise ConfigError(
            f"{expression!r} is not a gate",
            where="--fail-on",
            fix="Write, for example, 'membership.lira.tpr@0.01 > 0.05'.",
        )
    return Gate(
        expression=expression,
        release=match["release"] or "",
        name=full_name(match["name"], primary=primary),
        above=match["sign"] == ">",
        threshold=threshold,
    )


def check_gates(
    expressions: Sequence[str], releases: Sequence[str], attacks: Sequence[str], *, primary: str
) -> list[Gate]:
    """The gates, refused before any work where one can name no finding.

    Args:
        expressions: As given.
        releases: Names of the releases that will be audited.
        attacks: Membership tests that will run.
        primary: The attack that short names are about.

    Raises:
        ConfigError: Not a gate; a release or a figure that there will not be.
    """
    gates = [parse_gate(expression, primary=primary) for expression in expressions]
    for gate in gates:
        if gate.release and gate.release not in releases:
            raise ConfigError(
                f"no release is called {gate.release!r}",
                where="--fail-on",
                fix=nearest(gate.release, releases) or f"There are: {', '.join(releases)}.",
            )
        check_figure(gate.name, attacks, where="--fail-on")
    return gates


def gate_line(result: GateResult) -> str:
    """A gate's result as people read it: a passing gate is one whose figure is *not* beyond."""
    said = result.expression
    if result.verdict in (Verdict.PASS, Verdict.FAIL):
        gate = parse_gate(result.expression)
        word = "above" if gate.above else "below"
        verb = "is" if result.verdict is Verdict.FAIL else "is not"
        said = f"{gate.name} {verb} {word} {gate.threshold:g}"
    return f"{result.verdict.upper()}: {result.release}: {said} ({result.explanation})"


def judge(gate: Gate, findings: Sequence[Finding], releases: Sequence[str]) -> list[GateResult]:
    """The gate on each release it is about.

    ``x > t`` fails if the low end is above t, passes if the high end is at most t, and is
    undecided otherwise. Where membership was redrawn no gate can be evaluated, and no gate on an
    attack passes whose scores tell members from non-members the wrong way round.
    """
    wanted = [name for name in releases if not gate.release or name == gate.release]
    if not wanted:
        return [_result(gate, gate.release, Verdict.NOT_EVALUABLE, say("gate.no_release"))]
    results = []
    for release in wanted:
        mine = [item for item in findings if item.release == release and not item.group]
        # One result for each attacker it was measured for.
        found = [item for item in mine if item.id == gate.name]
        if not found:
            missing = say("gate.no_finding")
            results.append(_result(gate, release, Verdict.NOT_EVALUABLE, missing))
        results += [_judge_one(gate, release, finding, mine) for finding in found]
    return results


def exit_status(results: Sequence[GateResult]) -> int:
    """0 when all pass, 1 when any fails, 3 when none fails but one is undecided."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAIL in verdicts:
        return 1
    return 0 if verdicts <= {Verdict.PASS} else 3


def _judge_one(gate: Gate, release: str, finding: Finding, mine: Sequence[Finding]) -> GateResult:
    held = against(finding, gate.threshold, at_most=gate.above, others=mine)
    text = finding.numbers
    match held.why:
        case "null_control":
            reason = say("gate.null_control")
            return _result(gate, release, Verdict.NOT_EVALUABLE, reason)
        case "missing" | "no_interval":
            reason = finding.reason or say("gate.once")
            return _result(gate, release, Verdict.NOT_EVALUABLE, reason)
        case "no_width":
            reason = say("gate.no_width", number=text)
            return _result(gate, release, Verdict.UNDECIDED, reason)
        case "wrong_way":
            return _result(gate, release, Verdict.UNDECIDED, say("gate.wrong_way"))
        case "around":
            return _result(gate, release, Verdict.UNDECIDED, say("gate.around", number=text))
    return _result(gate, release, Verdict.PASS if held.holds else Verdict.FAIL, text)


def _result(gate: Gate, release: str, verdict: Verdict, explanation: str) -> GateResult:
    return GateResult(
        expression=gate.expression, release=release, verdict=verdict, explanation=explanation
    )
