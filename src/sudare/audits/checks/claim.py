"""What a card claims of privacy, and what follows from its ledger."""

from __future__ import annotations

import numpy as np

from sudare.accounting.claims import recomputed, wrong_claims
from sudare.accounting.curves import ceiling_of
from sudare.accounting.ledger import EXACT, GAUSSIAN, SEEDED, composed_epsilon
from sudare.audits.finding_context import FindingContext
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding
from sudare.core.wording import say
from sudare.releases.card import Card
from sudare.releases.registry import kind_class


def claim_findings(maker: FindingContext, card: Card) -> list[Finding]:
    """Findings ``privacy.*``: epsilon, mu and the highest AUC that the claim allows."""
    # A ledger may pay for a part only (the ranges of a decoder): that guarantees nothing.
    if not card.ledger or not card.guarantee:
        return []
    if any(entry.mechanism in (EXACT, SEEDED) for entry in card.ledger):
        # No number follows from it; the claim stays unmeasured, and what is so has not passed.
        return []
    wrong = wrong_claims(card.ledger, card.guarantee)
    ledger = [recomputed(entry) for entry in card.ledger] if wrong else list(card.ledger)
    composed = [entry.delta for entry in ledger if entry.mechanism in GAUSSIAN]
    delta = sum(entry.delta for entry in ledger if entry.mechanism not in GAUSSIAN)
    delta += max(composed, default=0.0)
    epsilon = ledger[0].epsilon
    said = "method.recomputed" if wrong else "method.claimed"
    method = say(said, delta=f"{delta:g}", accountant=_how(ledger[0].accountant))
    if len(ledger) > 1:
        epsilon = composed_epsilon(ledger, delta=max(composed, default=delta))
        how = "method.composed" if len(composed) == len(ledger) else "method.basic_composition"
        method = say(how, method=method, count=len(ledger))
    estimate = Estimate(value=epsilon, low=epsilon, high=epsilon, n=0, method=method)
    kind = kind_class(card.kind)
    threat = kind.held_as or kind.scores_as
    ceiling = ceiling_of(card.ledger)
    known = [("privacy.epsilon", estimate, "epsilon")]
    if wrong:
        left_out = max(0.0, epsilon - min(entry.epsilon for entry in card.ledger))
        gap = Estimate(value=left_out, low=left_out, high=left_out, n=0, method="; ".join(wrong))
        known.append(("privacy.left_out", gap, "epsilon"))
    for name, value, how, unit in (
        ("mu", ceiling.mu, say("method.mu"), "mu"),
        ("auc_ceiling", ceiling.auc, say("method.ceiling"), "AUC"),
    ):
        # A pure guarantee of another mechanism has no mu.
        if np.isfinite(value):
            exactly = Estimate(value=value, low=value, high=value, n=0, method=how)
            known.append((f"privacy.{name}", exactly, unit))
    return [maker.finding(name, one, threat=threat, unit=unit) for name, one, unit in known]


_ACCOUNTANTS = {"PRV upper bound": "accountant.prv", "exact": "accountant.exact"}


def _how(accountant: str) -> str:
    """An accountant in words; one that a card names otherwise as it stands there."""
    key = _ACCOUNTANTS.get(accountant)
    return say(key) if key else accountant
