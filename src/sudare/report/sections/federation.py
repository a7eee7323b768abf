"""Federations: each owner's statement inside the house, rules and aggregates outside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sudare.core.wording import known, listed, say
from sudare.report.blocks import Cell, Table
from sudare.report.load import Run
from sudare.report.sections.base import Section, explained


def sections(run: Run) -> Sequence[Section]:
    """One section a federation; none where the run built none."""
    found = []
    for name in run.releases:
        spec = _spec(run, name)
        if spec:
            found.append(_outside(run, name, spec) if run.public else _inside(run, name, spec))
    return found


def _spec(run: Run, name: str) -> Mapping[str, Any]:
    path = run.folder / "releases" / name / "release.json"
    if not path.is_file():
        return {}
    spec: Mapping[str, Any] = json.loads(path.read_text()).get("spec", {})
    return spec if spec.get("statements") else {}


def _inside(run: Run, name: str, spec: Mapping[str, Any]) -> Section:
    rules = list(spec["statements"][0]["payouts"])
    columns = [
        *(say(f"c_{column}") for column in ("owner", "epsilon", "records")),
        say("c_score", score=str(spec["score"]).upper()),
        *(say(f"c_{column}") for column in ("shapley", "loo", "tied")),
        *(say("c_paid", rule=_rule(rule)) for rule in rules),
    ]
    rows = [_row(statement, rules) for statement in spec["statements"]]
    table = Table(name=f"owners-{name}", caption=run.label(name), columns=columns, rows=rows)
    return Section(
        name=f"federation-{_anchor(name)}",
        title=say("s_federation"),
        blocks=explained(say("p_federation", label=run.label(name)), table),
    )


def _row(statement: Mapping[str, Any], rules: Sequence[str]) -> tuple[Cell, ...]:
    epsilon = statement["epsilon"]
    value = f"{statement['shapley']:+.3f}"
    return (
        Cell(text=str(statement["owner"])),
        Cell(text=say("none") if epsilon is None else f"{epsilon:.2f}"),
        Cell(text=f"{statement['records']:.0f}"),
        Cell(text=f"{statement['score']:.2f}"),
        Cell(
            text=value,
            small=say(
                "range",
                low=f"{statement['shapley_low']:+.3f}",
                high=f"{statement['shapley_high']:+.3f}",
            ),
        ),
        Cell(text=f"{statement['leave_one_out']:+.3f}"),
        Cell(text=listed(statement["tied_with"])),
        *(Cell(text=_money(statement["payouts"][rule])) for rule in rules),
    )


def _outside(run: Run, name: str, spec: Mapping[str, Any]) -> Section:
    rules = list(spec["statements"][0]["payouts"])
    rows = [
        (
            Cell(text=_rule(rule)),
            Cell(text=f"{gini_of([s['payouts'][rule] for s in spec['statements']]):.2f}"),
        )
        for rule in rules
    ]
    table = Table(
        name=f"owners-{name}",
        caption=run.label(name),
        columns=[say("c_rule"), say("c_gini")],
        rows=rows,
    )
    text = say(
        "p_federation_public",
        label=run.label(name),
        owners=len(spec["statements"]),
        budget=_money(spec["budget_cents"]),
        rule=_rule(str(spec["rule"])),
    )
    return Section(
        name=f"federation-{_anchor(name)}",
        title=say("s_federation"),
        blocks=explained(text, table),
    )


def gini_of(amounts: Sequence[int]) -> float:
    """0 where all get the same.

    >>> gini_of([1, 1, 1])
    0.0
    """
    ordered, total = sorted(amounts), sum(amounts)
    if not total:
        return 0.0
    ranks = range(1, len(ordered) + 1)
    weighted = sum(
        (2 * rank - len(ordered) - 1) * a for rank, a in zip(ranks, ordered, strict=True)
    )
    return weighted / (len(ordered) * total)


def _rule(name: str) -> str:
    """A payout rule in words; one of another package by its name."""
    return say(f"rule.{name}") if f"rule.{name}" in known() else name


def _money(cents: int) -> str:
    return say("money", amount=f"{cents // 100:,}.{cents % 100:02}")


def _anchor(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
