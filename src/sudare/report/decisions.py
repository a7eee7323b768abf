"""The first screen: one row a release, with the decision, its reason and what would settle it."""

from __future__ import annotations

from sudare.core.decisions import Answer, Decision, Outcome, Reply, Settle
from sudare.core.findings import Finding
from sudare.core.wording import say
from sudare.report.blocks import Cell, Table
from sudare.report.deployment import possible
from sudare.report.drawing import looks, swatch
from sudare.report.formats import range_text, value_text
from sudare.report.load import Run
from sudare.report.tables import number_cell
from sudare.report.text import attack_name, check_name, spoken_or

_KINDS = {
    Outcome.SHARE: "good",
    Outcome.CARE: "open",
    Outcome.UNKNOWN: "open",
    Outcome.REFUSE: "bad",
}
_ORDER = (Outcome.SHARE, Outcome.CARE, Outcome.UNKNOWN, Outcome.REFUSE)
_COLUMNS = ("release", "decision", "recipient", "attacker", "because", "settle")


def decisions_table(run: Run) -> Table | None:
    """What to do with each release, what may be shared on top and the most useful first."""
    run = possible(run)
    named = sorted(
        run.decisions,
        key=lambda name: (_ORDER.index(run.decisions[name].outcome), _usefulness(run, name)),
    )
    if not named:
        return None
    styles = looks({name: run.is_baseline(name) for name in run.releases})
    rows = []
    for name in named:
        decision = run.decisions[name]
        rows.append(
            (
                Cell(text=run.label(name), mark=swatch(styles[name])),
                Cell(
                    text=say(f"decide_{decision.outcome.value}"),
                    kind=_KINDS[decision.outcome],
                    sort=str(_ORDER.index(decision.outcome)),
                ),
                _use(run.utility(name)),
                _learnt(run, name),
                Cell(text=because(decision)),
                Cell(text=_settling(decision)),
            )
        )
    return Table(
        name="decisions",
        caption=say("cap_decisions"),
        columns=[say(f"c_{column}") for column in _COLUMNS],
        rows=rows,
        stacks=True,
    ).without_empty()


def first_sentences(run: Run) -> list[str]:
    """How many of each, which to take, and the lines: what a reader who reads no table reads."""
    if not run.decisions or run.summary.null_control:
        return []
    outcomes = [decision.outcome for decision in run.decisions.values()]
    told = [say("first_counts", **{outcome.value: outcomes.count(outcome) for outcome in Outcome})]
    shared = [n for n, decision in run.decisions.items() if decision.outcome is Outcome.SHARE]
    best = min(shared, key=lambda name: _usefulness(run, name), default=None)
    use = run.utility(best) if best is not None else None
    if best is not None and use is not None and use.value is not None:
        figure, value = _figure(use), value_text(use)
        told.append(say("first_best", one=run.label(best), name=figure, value=value))
    elif not shared:
        told.append(say("first_none"))
    lines = run.summary.thresholds
    share, worst = (f"{100 * line:.0f}" for line in (lines.share_auc, lines.share_worst))
    told.append(say("first_lines", share=share, worst=worst))
    return told


def because(decision: Decision) -> str:
    """The reason in a few words: the first answer that made the decision, and how many more."""
    if decision.outcome is Outcome.SHARE:
        proven = any(answer.proven for answer in decision.answers)
        return say("why_share_proof" if proven else "why_share")
    if not decision.deciding:
        return say("why_nothing")
    text = _why(decision.deciding[0])
    more = len(decision.deciding) - 1
    return say("why_more", why=text, count=more) if more else text


def _why(answer: Answer) -> str:
    keys = [
        f"why_{answer.question}_{answer.reply.value}_{answer.reason}",
        f"why_{answer.question}_{answer.reply.value}",
        f"why_{answer.reply.value}",
    ]
    return spoken_or(keys, question=answer.question.replace("_", " "))


def _settling(decision: Decision) -> str:
    """What would settle an open decision, each thing once; of builds the most asked for."""
    if decision.outcome is not Outcome.UNKNOWN:
        return ""
    wanted = [answer.settle for answer in decision.deciding if answer.settle is not None]
    builds = [settle for settle in wanted if settle.what == "builds"]
    others = [settle for settle in wanted if settle.what != "builds"]
    if builds:
        others.insert(0, max(builds, key=lambda settle: settle.count))
    told = list(dict.fromkeys(_settle(settle) for settle in others))
    text = told[0] if told else ""
    for one in told[1:]:
        text = say("settle_and", first=text, then=one)
    return text


_MANY = 256
"""More builds than this are no advice."""


def _settle(settle: Settle) -> str:
    if settle.what in ("builds", "units") and 0 < settle.count <= _MANY:
        return say(f"settle_{settle.what}_about", count=settle.count)
    name = attack_name(settle.name) if settle.what == "attack" else check_name(settle.name)
    return say(f"settle_{settle.what}", name=name)


def _usefulness(run: Run, name: str) -> float:
    utility = run.utility(name)
    return -utility.value if utility is not None and utility.value is not None else 1.0


def _figure(finding: Finding) -> str:
    """What a figure of utility is called."""
    return say(f"use_{finding.id.partition('.')[2]}")


def _use(finding: Finding | None) -> Cell:
    if finding is None or finding.value is None:
        return number_cell(finding)
    small = " ".join(text for text in (_figure(finding), range_text(finding)) if text)
    return Cell(text=value_text(finding), small=small, sort=f"{finding.value:.4g}", kind="num")


def _learnt(run: Run, name: str) -> Cell:
    """What an attacker learns: that images are inside, else how often they are right."""
    leakage = run.strongest(name)
    if run.shows_members(name):
        near = run.get("copies.near", name)
        small = ""
        if near is not None and near.value:
            small = say("learns_copies", share=value_text(near))
        return Cell(text=say("contains_private"), small=small, sort="2", kind="bad")
    if (pair := run.bounds_leak(name)) is not None:
        members, others = (value_text(finding) for finding in pair)
        return Cell(
            text=say("learns_bounds", members=members),
            small=say("learns_bounds_others", others=others),
            sort="1.5",
            kind="bad",
        )
    if leakage is None or leakage.value is None:
        return number_cell(leakage)
    tries = say("learns_tries", tries=f"{100 * leakage.value:.0f}")
    decision = run.decisions[name].answer("worst")
    worst = run.get(f"{run.primary_attack(name)}.worst_case", name)
    small = ""
    measured = decision is not None and decision.reply is not Reply.NOT_MEASURED
    if measured and worst is not None and worst.value is not None:
        small = say("learns_worst", tries=f"{100 * worst.value:.0f}")
    return Cell(text=tries, small=small, sort=f"{leakage.value:.4g}", kind="num")
