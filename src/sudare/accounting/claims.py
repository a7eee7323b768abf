"""Whether what a card promises follows from its own ledger."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sudare.accounting.accountants import epsilon_spent
from sudare.accounting.ledger import EXACT, GAUSSIAN, SEEDED, LedgerEntry, composed_epsilon

_SLACK, _MARGIN = 0.01, 0.02
"""Accountants differ by so much: exact ones may claim less than our upper bound."""
_ROUNDED = 5e-3
_WORDS = re.compile(r"^\((?P<epsilon>[\d.e+-]+), (?P<delta>[\d.e+-]+)\)-differential privacy")


def recomputed(entry: LedgerEntry) -> LedgerEntry:
    """The entry with the epsilon that its own noise, rate and steps spend."""
    if entry.mechanism not in GAUSSIAN:
        return entry
    epsilon = epsilon_spent(
        entry.noise_multiplier,
        sample_rate=entry.sample_rate,
        steps=entry.steps,
        delta=entry.delta,
    )
    return entry.model_copy(update={"epsilon": epsilon})


def wrong_claims(ledger: Sequence[LedgerEntry], guarantee: str) -> list[str]:
    """What of a claim does not follow from its ledger, a clause each; empty if all does.

    Args:
        ledger: What was spent, as the card says.
        guarantee: The promise in words; an epsilon and a delta at its beginning are read.
    """
    if guarantee and not ledger:
        return ["it promises what no ledger entry pays for"]
    if guarantee and any(entry.mechanism in (EXACT, SEEDED) for entry in ledger):
        return ["it promises privacy, and its ledger holds what protects nobody"]
    found = []
    again = [recomputed(entry) for entry in ledger]
    for said, spent in zip(ledger, again, strict=True):
        if said.epsilon < _least(spent.epsilon):
            found.append(
                f"{said.purpose} claims epsilon {said.epsilon:g}, but noise "
                f"{said.noise_multiplier:g} at rate {said.sample_rate:g} in {said.steps:,} steps "
                f"spends {spent.epsilon:.4g}"
            )
    words = _WORDS.match(guarantee)
    if words and ledger:
        delta = max(entry.delta for entry in ledger)
        whole = composed_epsilon(again, delta=delta)
        if _number(words["epsilon"]) + _ROUNDED < _least(whole):
            found.append(f"it promises epsilon {words['epsilon']}; its ledger spends {whole:.4g}")
        if _number(words["delta"]) < delta * (1 - _SLACK):
            found.append(f"it promises delta {words['delta']}; its ledger holds at {delta:g}")
    return found


def _least(epsilon: float) -> float:
    return epsilon * (1 - _SLACK) - _MARGIN


def _number(text: str) -> float:
    """Its value; below any claim where it is none."""
    try:
        return float(text)
    except ValueError:
        return -1.0
