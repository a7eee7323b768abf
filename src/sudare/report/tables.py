"""How findings stand in tables: their order, what each says against chance, and what it means."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sudare.core import Finding, Status
from sudare.core.figures import figure_of
from sudare.core.lines import control_failed
from sudare.core.wording import say
from sudare.report.blocks import Cell
from sudare.report.formats import chance_of, missing_text, range_text, value_text
from sudare.report.text import explained


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


def glossary(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """What the figures of a table mean, each once."""
    found = (explained(finding.id) for finding in findings)
    return list(dict.fromkeys(item for item in found if item is not None))
