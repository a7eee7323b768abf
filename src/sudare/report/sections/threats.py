"""What each attacker sees."""

from __future__ import annotations

from collections.abc import Sequence

from sudare.core.wording import listed, say
from sudare.report.blocks import Cell, Folded, Table
from sudare.report.load import Run
from sudare.report.sections.base import Section
from sudare.report.text import attack_name, seen_by


def sections(run: Run) -> Sequence[Section]:
    """One folded table."""
    table = threats_table(run)
    blocks = [Folded(table.caption, [table])]
    return [Section(name="threats", title=say("h_threats"), blocks=blocks, place="record")]


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
                Cell(text=seen_by(threat)),
                Cell(text=attack_name(primary) if primary else say("none")),
                Cell(text=listed(list(releases))),
            )
        )
    columns = [say(f"c_{name}") for name in ("threat", "sees", "primary", "release")]
    return Table(name="threats", caption=say("cap_threats"), columns=columns, rows=rows)
