"""What a federation knows when its rounds are over: values, payouts, statements, the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from sudare.accounting.ledger import SEEDED, LedgerEntry, composed_epsilon
from sudare.core.arrays import FloatArray
from sudare.core.seeds import generator, integer_seed
from sudare.core.wording import say
from sudare.nets.predict import predict
from sudare.releases.card import Card, Statistic
from sudare.releases.kinds.federation import FederationSpec, Statement
from sudare.routes.base import card_for
from sudare.routes.federation.owner import scores_entry, training_entry
from sudare.valuation.contribution import coalitions, leave_one_out, shapley, ties
from sudare.valuation.payouts import RULES, Contribution, pay

if TYPE_CHECKING:
    from sudare.data.images import ImageDataset
    from sudare.routes.federation.config import FederationConfig
    from sudare.routes.federation.fedavg import Trained

PUBLIC_SCORED = 200
"""Public images whose scores give the unit."""
_SCORED_ROUNDS = 5
_DRAWS = 400
_UNIT_QUANTILE = 0.9


@dataclass(frozen=True, kw_only=True)
class OwnerReport:
    """What one owner says of itself, and what is known of it.

    Attributes:
        name: The owner.
        records: Number of its records, noised if that is promised.
        score: Their mean score, likewise.
        trained: Whether any of its records was trained on.
        skipped: Rounds that went on without it.
    """

    name: str
    records: float
    score: float
    trained: bool = True
    skipped: int = 0


def scored_rounds(rounds: int) -> list[int]:
    """Rounds after which records are scored: about five, the last among them."""
    every = max(1, rounds // _SCORED_ROUNDS)
    return sorted({*range(0, rounds, every), rounds - 1})


def unit_of(scores: FloatArray) -> float:
    """The score that nine of ten public images stay below: no private number scales a score."""
    return float(np.quantile(scores, _UNIT_QUANTILE)) if len(scores) else 1.0


def right_answers(
    net: torch.nn.Module, trained: Trained, public: ImageDataset, *, device: str
) -> FloatArray:
    """For every coalition, whether its model is right about each public image, ``[2**k, n]``.

    The net is left with the weights of all owners together.
    """
    from sudare.routes.federation.fedavg import model_of

    clients = trained.updates.shape[1]
    if not len(public):
        return np.zeros((2**clients, 1))
    found = []
    for coalition in coalitions(clients):
        model_of(net, trained.final(coalition))
        answers = predict(net, public.images, device=device).argmax(axis=1)
        found.append((answers == public.classes).astype(np.float64))
    model_of(net, trained.final())
    return np.stack(found)


def ledger_of(
    config: FederationConfig, sigma: float, *, trained: bool = True, seeded: bool = False
) -> tuple[LedgerEntry, ...]:
    """What an owner's records went through, as the job says and whatever the owner does.

    Args:
        config: The federation.
        sigma: Noise multiplier of each step.
        trained: Whether any of its records was trained on.
        seeded: Whether the noise follows from a seed, which protects nobody.
    """
    if config.privacy is None:
        return ()
    steps = config.rounds * config.local_steps
    entries = [training_entry(config, sigma, steps=steps)] if trained else []
    entries.append(scores_entry(config))
    if seeded:
        return tuple(entry.model_copy(update={"mechanism": SEEDED}) for entry in entries)
    return tuple(entries)


def statements_of(
    config: FederationConfig,
    right: FloatArray,
    owners: Sequence[OwnerReport],
    *,
    sigma: float,
    seed: int,
    seeded: bool = False,
) -> tuple[Statement, ...]:
    """What each owner is told.

    Args:
        config: The federation.
        right: Of `right_answers`.
        owners: What each owner said.
        sigma: Noise multiplier of each step.
        seed: Seed of the bootstrap.
        seeded: Whether the noise follows from a seed, so that nothing is promised.
    """
    worth = right.mean(axis=1)
    rng = generator(integer_seed(seed, "valuation"), "bootstrap")
    n = right.shape[1]
    draws = np.stack(
        [shapley(right[:, rng.integers(0, n, size=n)].mean(axis=1)) for _ in range(_DRAWS)]
    )
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    tied = ties(draws)
    standing = Contribution(
        sizes=np.array([owner.records for owner in owners]),
        scores=np.array([owner.score for owner in owners]),
        shapley=shapley(worth),
        leave_one_out=leave_one_out(worth),
    )
    payouts = {rule: pay(rule, standing, config.valuation.budget_cents) for rule in RULES}
    delta = config.privacy.delta if config.privacy else 0.0
    promised = config.privacy is not None and not seeded
    ledgers = [ledger_of(config, sigma, trained=o.trained, seeded=seeded) for o in owners]
    return tuple(
        Statement(
            owner=owner.name,
            epsilon=composed_epsilon(ledgers[index], delta=delta) if promised else None,
            delta=delta,
            records=owner.records,
            score=owner.score,
            shapley=float(standing.shapley[index]),
            shapley_low=float(low[index]),
            shapley_high=float(high[index]),
            leave_one_out=float(standing.leave_one_out[index]),
            tied_with=tuple(
                other.name for row, other in enumerate(owners) if row != index and tied[index, row]
            ),
            payouts={rule: int(paid[index]) for rule, paid in payouts.items()},
            ledger=ledgers[index],
            skipped=owner.skipped,
        )
        for index, owner in enumerate(owners)
    )


def card_of(
    config: FederationConfig,
    statements: tuple[Statement, ...],
    *,
    like: ImageDataset,
    valued: bool,
    rehearsed: bool = False,
) -> Card:
    """The card.

    Args:
        config: The federation.
        statements: What each owner is told.
        like: Images of the same classes and shape, whose name and licence the card gives.
        valued: Whether there were public images to value owners on.
        rehearsed: Whether the noise follows from a seed, which promises nothing.
    """
    settings = {f"recipe.{name}": str(value) for name, value in config.recipe}
    for name in ("clients", "partition", "local_steps", "rate", "expected_batch", "weights"):
        settings[name] = str(getattr(config, name))
    statistics, guarantee = [], ""
    ledger: tuple[LedgerEntry, ...] = ()
    if config.privacy is None:
        told = "every update and each owner's number of records and mean score"
        statistics.append(Statistic(name="updates", value=told, status="leak"))
    elif rehearsed:
        settings["rehearsal"] = "the noise follows from a seed: nothing is promised"
        told = "noise that whoever holds the job takes off"
        statistics.append(Statistic(name="updates, records and scores", value=told, status="leak"))
    else:
        most = max(statements, key=lambda statement: statement.epsilon or 0.0)
        ledger = most.ledger
        guarantee = say(
            "guarantee.federation",
            epsilon=f"{most.epsilon:.2f}",
            delta=f"{config.privacy.delta:g}",
        )
        statistics.append(
            Statistic(name="records and scores", value="Gaussian noise", status="noised")
        )
    for statement in statements:
        if statement.skipped:
            settings[f"rounds without {statement.owner}"] = str(statement.skipped)
    if config.weights == "size":
        statistics.append(
            Statistic(name="sizes of owners", value="weights of the average", status="leak")
        )
    if not valued:
        settings["values"] = "not measured: no public images"
    return card_for(
        config,
        like,
        FederationSpec(
            net=config.net,
            rounds=config.rounds,
            rule=config.valuation.rule,
            budget_cents=config.valuation.budget_cents,
            score=config.valuation.score,
            statements=statements,
        ),
        settings=settings,
        statistics=tuple(statistics),
        # Of the owner who spends most: no record is in two of the owners' books.
        ledger=ledger,
        guarantee=guarantee,
    )
