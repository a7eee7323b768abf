"""Gates, every finding, and what its figure means."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.runs import Verdict as Outcome
from sudare.core.wording import reworded, say
from sudare.report.blocks import Block, Cell, Folded, Meanings, Paragraph, Table
from sudare.report.load import Run
from sudare.report.sections.base import Section
from sudare.report.tables import glossary, number_cell, reading, severity


def sections(run: Run) -> Sequence[Section]:
    """Gates on top; findings and their meanings folded."""
    blocks: list[Block] = [Paragraph(say("p_findings"))]
    if (gates := gates_table(run)) is not None:
        blocks.append(gates)
    table = findings_table(run)
    blocks.append(Folded(say("all_findings", count=len(table.rows)), [table]))
    mine = [finding for finding in run.findings if not finding.id.startswith("canaries.")]
    if terms := glossary(sorted(mine, key=severity)):
        blocks.append(Folded(say("h_glossary"), [Meanings(terms)]))
    title = say("h_findings")
    return [Section(name="findings", title=title, blocks=blocks, place="record")]


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
            Cell(text=reworded(gate.explanation)),
        )
        for gate in sorted(run.summary.gates, key=lambda gate: order.index(gate.verdict))
    ]
    columns = [say(f"c_{name}") for name in ("gate", "release", "verdict", "explanation")]
    return Table(name="gates", caption=say("cap_gates"), columns=columns, rows=rows)


def findings_table(run: Run, *, canaries: bool = False) -> Table:
    """Every finding, by severity; units are counted on the internal page only.

    Args:
        run: The run.
        canaries: Those on planted images, which are never mixed with the others.
    """
    columns = ["finding", "release", "group", "value", "reading", "threat", "builds", "method"]
    if not run.public:
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
            Cell(text=reworded(finding.method)),
        ]
        if not run.public:
            row.insert(6, Cell(text=f"{finding.n_units or ''}", kind="num"))
        rows.append(row)
    return Table(
        name="planted" if canaries else "findings",
        caption=say("cap_planted") if canaries else say("cap_findings"),
        columns=[say(f"c_{column}") for column in columns],
        rows=rows,
        tools=True,
    )
