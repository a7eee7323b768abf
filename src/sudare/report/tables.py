"""The report's tables as values: captions, columns and cells, before any markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from sudare.core import Finding, Status
from sudare.core.figures import figure_of
from sudare.core.lines import control_failed
from sudare.core.runs import Verdict as Outcome
from sudare.report.drawing import looks, swatch
from sudare.report.editions import Edition
from sudare.report.formats import chance_of, missing_text, range_text, value_text
from sudare.report.load import Run
from sudare.report.text import attack_name, listed, say


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell.

    Attributes:
        text: What it says.
        small: A second, smaller line.
        sort: What it sorts by, where that is not the text.
        kind: A style: ``num``, ``bad``, ``good``, ``open``, or empty.
        mark: A picture before the text.
    """

    text: str
    small: str = ""
    sort: str = ""
    kind: str = ""
    mark: Markup | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table whose first column heads its rows."""

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    stacks: bool = False

    def without_empty(self) -> Table:
        """The table without columns that hold no content and no number in any row."""
        kept = [
            index
            for index, _ in enumerate(self.columns)
            if any(row[index].text and row[index].kind != "na" for row in self.rows)
        ]
        return replace(
            self,
            columns=[self.columns[index] for index in kept],
            rows=[[row[index] for index in kept] for row in self.rows],
        )


def releases_table(run: Run) -> Table:
    """What leaves, what it is good for, what it leaks and what it costs."""
    # What an attacker learns stands beside the name: on a phone it is seen without scrolling.
    columns = ("release", "auc", "utility", "tpr", "guarantee", "build", "storage")
    styles = looks({name: run.is_baseline(name) for name in run.releases})
    rows = []
    for name, release in run.releases.items():
        attack = run.primary_attack(name)
        running = not run.summary.complete and release.builds_done < release.builds_planned
        found = (
            run.utility(name),
            run.leakage(name),
            run.get(f"{attack}.tpr@0.01", name),
            run.get("cost.build_cpu_s", name),
            run.get("cost.storage_mb", name),
        )
        utility, auc, tpr, build, storage = (number_cell(item, running=running) for item in found)
        small = release.what_leaves
        if run.is_baseline(name):
            small = say("leaves_baseline", leaves=release.what_leaves)
        if run.shows_members(name):
            # No figure of an attack on a model says anything about what is handed over itself.
            auc = Cell(text=say("contains_private"), small=auc.text, sort="2", kind="bad")
        head = Cell(text=run.label(name), small=small, mark=swatch(styles[name]))
        rows.append((head, auc, utility, tpr, _guarantee(run, name), build, storage))
    return Table(
        name="releases",
        caption=say("cap_releases"),
        columns=[say(f"c_{column}") for column in columns],
        rows=rows,
    )


def gates_table(run: Run) -> Table | None:
    """The gates, failed ones on top; None where there are none."""
    if not run.summary.gates:
        return None
    order = (Outcome.FAIL, Outcome.UNDECIDED, Outcome.NOT_EVALUABLE, Outcome.PASS)
    kinds = {Outcome.FAIL: "bad", Outcome.PASS: "good"}
    rows = [
        (
            Cell(text=gate.expression),
            Cell(text=run.label(gate.release)),
            Cell(text=say(f"gate_{gate.verdict.value}"), kind=kinds.get(gate.verdict, "open")),
            Cell(text=gate.explanation),
        )
        for gate in sorted(run.summary.gates, key=lambda gate: order.index(gate.verdict))
    ]
    columns = [say(f"c_{name}") for name in ("gate", "release", "verdict", "explanation")]
    return Table(name="gates", caption=say("cap_gates"), columns=columns, rows=rows)


def findings_table(run: Run, edition: Edition, *, canaries: bool = False) -> Table:
    """Every finding, by severity; units are counted on the internal page only.

    Args:
        run: The run.
        edition: Who the page is for.
        canaries: Those on planted images, which are never mixed with the others.
    """
    columns = ["finding", "release", "group", "value", "reading", "threat", "builds", "method"]
    internal = edition is Edition.INTERNAL
    if internal:
        columns.insert(6, "units")
    rows = []
    wanted = (item for item in run.findings if item.id.startswith("canaries.") is canaries)
    for finding in sorted(wanted, key=severity):
        read, kind = reading(finding)
        row = [
            Cell(text=run.named(finding), small=finding.id),
            Cell(text=run.label(finding.release)),
            Cell(text=finding.group),
            number_cell(finding),
            Cell(text=read, kind=kind),
            Cell(text=finding.threat_model.value),
            Cell(text=str(finding.n_builds or ""), kind="num"),
            Cell(text=finding.method),
        ]
        if internal:
            row.insert(6, Cell(text=f"{finding.n_units or ''}", kind="num"))
        rows.append(row)
    return Table(
        name="planted" if canaries else "findings",
        caption=say("cap_planted") if canaries else say("cap_findings"),
        columns=[say(f"c_{column}") for column in columns],
        rows=rows,
    )


def threats_table(run: Run) -> Table:
    """What each attacker of this run sees."""
    used = dict.fromkeys(finding.threat_model for finding in run.findings)
    rows = []
    for threat in used:
        releases = dict.fromkeys(
            run.label(finding.release) for finding in run.findings if finding.threat_model == threat
        )
        primary = run.summary.primary.get(threat.value, "")
        rows.append(
            (
                Cell(text=threat.value),
                Cell(text=threat.sees),
                Cell(text=attack_name(primary) if primary else say("none")),
                Cell(text=listed(list(releases))),
            )
        )
    columns = [say(f"c_{name}") for name in ("threat", "sees", "primary", "release")]
    return Table(name="threats", caption=say("cap_threats"), columns=columns, rows=rows)


def severity(finding: Finding) -> tuple[int, float, str, str, str, str]:
    """Sort key: leakage above chance by how far, failures, other leakage, promises, use, cost."""
    chance, figure = chance_of(finding.id), figure_of(finding.id)
    harm = figure is not None and figure.worse is not None
    low = finding.low if finding.low is not None else -math.inf
    rank, excess = 5, 0.0
    if finding.status is Status.FAILED:
        rank = 1
    elif control_failed(finding):
        rank = -1
    elif finding.status is not Status.MEASURED:
        rank = 3 if harm else 6
    elif chance is not None:
        rank = 0 if low > chance else 2
        excess = -((low if rank == 0 else finding.value or 0.0) - chance) / (1 - chance)
    elif harm:
        rank = 4
    return rank, excess, *finding.key


def reading(finding: Finding) -> tuple[str, str]:
    """What a finding says against chance, and its style."""
    if finding.status is not Status.MEASURED:
        kind = "bad" if finding.status is Status.FAILED else "open"
        return say(f"read_{finding.status.value}"), kind
    if finding.id.endswith(".null_auc"):
        failed = control_failed(finding)
        return (say("read_control_failed"), "bad") if failed else (say("read_control"), "good")
    chance = chance_of(finding.id)
    if chance is None:
        return say("read_null_value" if finding.null_control else "read_value"), ""
    if finding.null_control:
        return _null_reading(finding, chance)
    if finding.low is None or finding.high is None or finding.low <= chance <= finding.high:
        return say("read_open"), "open"
    return (say("read_above"), "bad") if finding.low > chance else (say("read_below"), "open")


def _null_reading(finding: Finding, chance: float) -> tuple[str, str]:
    """In a run whose membership was redrawn nothing is a leak; off chance is a fault."""
    if finding.low is None or finding.high is None or finding.low <= chance <= finding.high:
        return say("read_null"), "good"
    return say("read_null_off"), "open"


def number_cell(finding: Finding | None, *, running: bool = False) -> Cell:
    """Value and interval, or why there is none."""
    if finding is None or finding.value is None:
        return Cell(text=missing_text(finding, running=running), sort="-1", kind="na")
    return Cell(
        text=value_text(finding),
        small=range_text(finding),
        sort=f"{finding.value:.4g}",
        kind="num",
    )


def guarantees(run: Run) -> list[tuple[str, str]]:
    """Releases with a formal guarantee, and its text in full."""
    return [
        (run.label(name), release.guarantee)
        for name, release in run.releases.items()
        if release.guarantee
    ]


def _guarantee(run: Run, release: str) -> Cell:
    """Its epsilon; the full text has conditions and stands below the table."""
    known = run.releases[release].guarantee
    epsilon = run.get("privacy.epsilon", release)
    seen = run.get(f"{run.primary_attack(release)}.epsilon_seen", release)
    small = ""
    if seen is not None and seen.value is not None:
        small = say("epsilon_seen", epsilon=f"{seen.value:.2g}")
    if epsilon is not None and epsilon.value is not None:
        return Cell(text=say("guarantee_epsilon", epsilon=f"{epsilon.value:.3g}"), small=small)
    return Cell(text=known or say("no_guarantee"), small=small)
