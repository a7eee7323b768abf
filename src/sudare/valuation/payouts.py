"""Rules that divide a budget by what owners bring, in whole cents, and what each rule promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.apportionment import largest_remainder
from sudare.core.arrays import FloatArray, IntArray
from sudare.core.errors import ConfigError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

PROPERTIES: Mapping[str, str] = {
    "budget balance": "payouts add up to the budget, to the cent; where nobody has a share nobody "
    "is paid and the budget stays",
    "individual rationality": "nobody pays",
    "symmetry": "equals get the same, give or take a cent",
    "null player": "who brings nothing gets nothing",
    "Sybil": "splitting into two identities gains nothing",
    "replication": "handing in the same data twice gains nothing",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Contribution:
    """What is known of each owner.

    Attributes:
        sizes: Number of records.
        scores: Mean score of a record (VoG or PLIS), winsorised, not below 0.
        shapley: Shapley values.
        leave_one_out: Leave-one-out values.
    """

    sizes: Float[FloatArray, " k"]
    scores: Float[FloatArray, " k"]
    shapley: Float[FloatArray, " k"]
    leave_one_out: Float[FloatArray, " k"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How shares follow from standings.

    Attributes:
        shares: Weights, not below 0; where all are zero nobody is paid.
        promises: Properties it has; each is tested, and so is that it has no other.
    """

    shares: Callable[[Contribution], FloatArray]
    promises: frozenset[str]


_ALWAYS = frozenset({"budget balance", "individual rationality", "symmetry"})

RULES: Mapping[str, Rule] = {
    "equal": Rule(
        shares=lambda standing: np.ones(len(standing.sizes)),
        promises=_ALWAYS | {"replication"},
    ),
    "size": Rule(
        shares=lambda standing: standing.sizes,
        promises=_ALWAYS | {"null player", "Sybil"},
    ),
    "score-mean": Rule(
        shares=lambda standing: standing.scores,
        promises=_ALWAYS | {"null player", "replication"},
    ),
    "score-sum": Rule(
        shares=lambda standing: standing.scores * standing.sizes,
        promises=_ALWAYS | {"null player", "Sybil"},
    ),
    "shapley": Rule(
        shares=lambda standing: np.maximum(standing.shapley, 0.0),
        promises=_ALWAYS | {"null player", "replication"},
    ),
    "leave-one-out": Rule(
        shares=lambda standing: np.maximum(standing.leave_one_out, 0.0),
        promises=_ALWAYS | {"null player", "Sybil", "replication"},
    ),
}


def pay(rule: str, standing: Contribution, budget_cents: int) -> Int[IntArray, " k"]:
    """Whole cents for each owner.

    Args:
        rule: A name of ``RULES``.
        standing: What is known of each.
        budget_cents: What is divided, not below 0; it stays where no share is above 0.

    Raises:
        ConfigError: No such rule, a negative budget, or weights that are none.
    """
    if rule not in RULES:
        raise ConfigError(f"there is no payout rule {rule!r}", fix=f"Choose of {list(RULES)}.")
    if budget_cents < 0:
        raise ConfigError("a budget cannot be negative", where="budget_cents")
    shares = RULES[rule].shares(standing)
    if not np.isfinite(shares).all() or (shares < 0).any():
        raise ConfigError("shares are negative or no numbers", where=rule)
    if not shares.any():
        # An equal split would pay a null player, a Sybil and whoever hands in the same data twice.
        return np.zeros(len(shares), dtype=np.int64)
    return largest_remainder(shares, budget_cents)
