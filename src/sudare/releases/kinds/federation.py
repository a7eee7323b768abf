"""A classifier many owners trained, with what each of them spent, brought and was paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sudare.accounting.ledger import LedgerEntry
from sudare.core.threats import Threat, ThreatModel
from sudare.nets.registry import NetConfig
from sudare.releases.card import Spec
from sudare.releases.kinds.classifier import ClassifierRelease, ClassifierSpec

FINAL, WEIGHTS, LABELS = (
    ThreatModel(f"federation/{name}") for name in ("final", "weights", "labels")
)


class Statement(BaseModel):
    """What one owner is told: privacy spent, values with intervals, payouts under every rule."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    owner: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,59}$")
    epsilon: float | None = Field(
        default=None, ge=0, description="Of all its mechanisms composed; None without a promise."
    )
    delta: float = Field(default=0.0, ge=0, lt=1)
    records: float = Field(ge=0, description="Number of records, noised where there is a promise.")
    score: float = Field(ge=0, description="Mean score of a record, noised likewise.")
    shapley: float
    shapley_low: float
    shapley_high: float
    leave_one_out: float
    tied_with: tuple[str, ...] = Field(
        default=(), description="Owners whose Shapley values cannot be told from its own."
    )
    payouts: dict[str, int] = Field(description="Cents, by rule.")
    ledger: tuple[LedgerEntry, ...] = Field(
        default=(), description="Each mechanism its records went through, as the job says."
    )
    skipped: int = Field(default=0, ge=0, description="Rounds that went on without this owner.")


class FederationSpec(ClassifierSpec):
    """What the card of a federation says of it."""

    net: NetConfig = Field(description="The architecture.")
    rounds: int = Field(ge=1)
    rule: str = Field(description="The rule that pays.")
    budget_cents: int = Field(ge=0)
    score: str = Field(description="The score of records.")
    statements: tuple[Statement, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _adds_up(self) -> FederationSpec:
        names = [statement.owner for statement in self.statements]
        if len(set(names)) != len(names):
            raise ValueError("two owners of one name")
        for statement in self.statements:
            if self.rule not in statement.payouts:
                raise ValueError(f"{statement.owner} has no payout under {self.rule!r}")
        for rule in self.statements[0].payouts:
            paid = sum(statement.payouts.get(rule, 0) for statement in self.statements)
            # Where nobody has a share nobody is paid, and the budget stays.
            if paid not in (0, self.budget_cents):
                raise ValueError(f"payouts under {rule!r} do not add up to the budget")
        return self


@dataclass(frozen=True, kw_only=True, eq=False)
class FederationRelease(ClassifierRelease):
    """The common net and the owners' statements."""

    kind: ClassVar[str] = "federation"
    spec_class: ClassVar[type[Spec]] = FederationSpec
    views: ClassVar[Mapping[str, str]] = {
        LABELS: "_labels_view",
        FINAL: "_logits_view",
        WEIGHTS: "_weights_view",
    }
    scores_as: ClassVar[ThreatModel] = FINAL
    held_as: ClassVar[ThreatModel | None] = WEIGHTS
    threats: ClassVar[tuple[Threat, ...]] = (
        Threat(id="federation/labels"),
        Threat(id="federation/final"),
        Threat(id="federation/weights"),
    )
