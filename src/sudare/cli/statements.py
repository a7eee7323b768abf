"""What the owners of a federation are told, as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    spent = (
        "no privacy: the noise follows from the job's seed, and whoever has the job takes it off"
        if told.epsilon is None and told.ledger
        else "no promise of privacy was made to you: your updates and scores are exact"
        if told.epsilon is None
        else f"your records' privacy: epsilon {told.epsilon:.2f} at delta {told.delta:g}, "
        "training and released scores together"
    )
    tied = f"; not told apart from {', '.join(told.tied_with)}" if told.tied_with else ""
    others = ", ".join(
        f"{name} {cents / 100:,.2f}" for name, cents in told.payouts.items() if name != rule
    )
    return (
        f"{told.owner}: paid {told.payouts[rule] / 100:,.2f} ({rule})\n"
        f"  brought {told.shapley:+.4f} accuracy ({told.shapley_low:+.4f} to "
        f"{told.shapley_high:+.4f}){tied}; without you {-told.leave_one_out:+.4f}\n"
        f"  about {told.records:.0f} records of mean score {told.score:.2f}\n"
        f"  {spent}\n"
        f"  under other rules: {others}"
    )
