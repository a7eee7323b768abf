"""What the owners of a federation are told, as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sudare.core.wording import listed, say

if TYPE_CHECKING:
    from sudare.releases.kinds.federation import Statement


def statements_text(folder: Path) -> str:
    """What every owner of a released federation is told, as text.

    Raises:
        ReleaseError: It is no federation.
    """
    from sudare.core.errors import ReleaseError
    from sudare.releases.kinds.federation import FederationSpec
    from sudare.releases.store import read_card

    spec = read_card(folder).spec
    if not isinstance(spec, FederationSpec):
        raise ReleaseError(
            "this is no federation", where=str(folder), fix="Make one: sudare federate simulate."
        )
    return "\n".join(statement_text(told, rule=spec.rule) for told in spec.statements)


def statement_text(told: Statement, *, rule: str) -> str:
    """What one owner is told: paid, why, how sure, and what was spent."""
    if told.epsilon is not None:
        spent = say("statement.spent", epsilon=f"{told.epsilon:.2f}", delta=f"{told.delta:g}")
    else:
        spent = say("statement.seeded" if told.ledger else "statement.exact")
    brought = say(
        "statement.brought",
        value=f"{told.shapley:+.4f}",
        low=f"{told.shapley_low:+.4f}",
        high=f"{told.shapley_high:+.4f}",
    )
    if told.tied_with:
        brought = say("statement.tied", brought=brought, others=listed(told.tied_with))
    others = [
        say("statement.other", rule=name, amount=f"{cents / 100:,.2f}")
        for name, cents in told.payouts.items()
        if name != rule
    ]
    amount = f"{told.payouts[rule] / 100:,.2f}"
    lines = [
        say("statement.brought_and_lost", brought=brought, without=f"{-told.leave_one_out:+.4f}"),
        say("statement.records", count=f"{told.records:.0f}", score=f"{told.score:.2f}"),
        spent,
        say("statement.others", others=listed(others)),
    ]
    head = say("statement.paid", owner=told.owner, amount=amount, rule=rule)
    return "\n  ".join([head, *lines])
