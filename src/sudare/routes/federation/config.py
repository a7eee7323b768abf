"""Settings of a federation; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

from sudare.core.wording import say
from sudare.nets.registry import NetConfig
from sudare.routes.config import PlannedRelease, RouteConfig
from sudare.training.recipe import DpConfig, Recipe

# Rate times the 160 images of a small owner.
EXPECTED_BATCH = 32

RuleName = Literal["equal", "size", "score-mean", "score-sum", "shapley", "leave-one-out"]


def partition_of(text: str) -> tuple[str, float]:
    """Name and concentration of a partition such as ``dirichlet:0.5``.

    Raises:
        ValueError: Another name, or a concentration that is none.
    """
    name, _, number = text.partition(":")
    if name == "iid" and not number:
        return name, 0.0
    if name not in ("dirichlet", "quantity"):
        raise ValueError(f"{text!r} is not iid, dirichlet:ALPHA or quantity:ALPHA")
    try:
        alpha = float(number or 0.5)
    except ValueError as error:
        raise ValueError(f"{number!r} is no concentration") from error
    if not 0 < alpha < float("inf"):
        raise ValueError(f"the concentration of {text!r} must be above 0")
    return name, alpha


class ValuationConfig(BaseModel):
    """What owners are told and paid."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    budget_cents: int = Field(default=100_000, ge=0, description="What is divided, in cents.")
    rule: RuleName = Field(default="shapley", description="The rule that pays.")
    score: Literal["vog", "plis", "loss", "gradient-norm", "random"] = Field(
        default="plis",
        description="The score of records that score rules pay by; loss, gradient-norm and random "
        "are what VoG and PLIS must be told apart from.",
    )
    noise: float = Field(
        default=10.0,
        ge=0.05,
        le=1e6,
        description="Noise multiplier of each released sum of scores.",
    )
    clip: float = Field(
        default=1.0, gt=0, description="Scores above it count as it; in units of the score."
    )


class FederationConfig(RouteConfig):
    """Owners train on their own images; only noised updates leave them, and what they are paid."""

    route: ClassVar[str] = "sudare.routes.federation.build:FederationRoute"
    release_kind: ClassVar[str] = "federation"
    unprotected: ClassVar[str] = "plain"

    kind: Literal["federation"] = "federation"
    net: NetConfig = Field(default=NetConfig(), description="Architecture.")
    clients: int = Field(default=4, ge=2, le=10, description="Owners of data (silos).")
    partition: str = Field(
        default="dirichlet:0.5",
        description="Who owns what, by unit: iid, dirichlet:ALPHA (classes differ) or "
        "quantity:ALPHA (sizes differ). A column `silo` of the collection goes first.",
    )
    rounds: int = Field(
        default=20, ge=1, le=10_000, description="Rounds of training and averaging."
    )
    local_steps: int = Field(
        default=5, ge=1, le=100_000, description="Steps of each owner in a round."
    )
    rate: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Chance of each record to be in a step's batch, the same for all owners: so "
        "it does not tell an owner's size.",
    )
    expected_batch: int = Field(
        default=EXPECTED_BATCH,
        ge=1,
        description="What every owner divides a step's noised sum of gradients by: a number all "
        "know, about rate times the images of a usual owner. Divided by its own expected batch, "
        "an update would tell an owner's size by the size of its noise.",
    )
    weights: Literal["equal", "size"] = Field(
        default="equal", description="How updates are averaged; sizes are told to do it by size."
    )
    recipe: Recipe = Field(
        default=Recipe(lr=1.0, momentum=0.0, weight_decay=0.0),
        description="How an owner trains: learning rate (that of clipped gradients; about a tenth "
        "of it where there is no privacy), views; its batch follows from rate.",
    )
    privacy: DpConfig | None = Field(
        default=DpConfig(),
        description="Record-level differential privacy of each owner; false for none.",
    )
    valuation: ValuationConfig = Field(
        default=ValuationConfig(), description="What owners are told and paid."
    )

    @field_validator("privacy", mode="before")
    @classmethod
    def _switched_off(cls, value: object) -> object:
        # TOML has no null, and leaving the field out means its default.
        return None if value is False else value

    @field_serializer("privacy")
    def _writable(self, value: DpConfig | None) -> dict[str, object] | bool:
        return False if value is None else value.model_dump()

    @field_validator("partition")
    @classmethod
    def _known(cls, partition: str) -> str:
        partition_of(partition)
        return partition

    def passes(self, images: int, classes: int) -> float:
        """Every owner's steps, private ones three times, and what the scores take."""
        each = 1.0 if self.privacy is None else 3.0
        return each * self.rounds * self.local_steps * self.rate * images + 30 * images

    @property
    def default_name(self) -> str:
        """Name within a run."""
        return f"federation-{self.clients}{self._epsilon('-eps{}')}"

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        if self.privacy is None:
            return say("label.federation", clients=self.clients)
        if self.privacy.target_epsilon is None:
            noise = f"{self.privacy.noise_multiplier:g}"
            return say("label.federation_noise", clients=self.clients, noise=noise)
        epsilon = f"{self.privacy.target_epsilon:g}"
        return say("label.federation_epsilon", clients=self.clients, epsilon=epsilon)

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        noised = "_noised" if self.privacy else ""
        return say(f"leaves.federation{noised}", clients=self.clients)

    @property
    def recipe_of_scores(self) -> Recipe | None:
        """How the net that an attacker queries is trained."""
        return self.recipe

    @property
    def scales(self) -> Mapping[str, float]:
        """DP-SGD's scale: a larger epsilon leaks no less."""
        if self.privacy is None or self.privacy.target_epsilon is None:
            return {}
        return {"federation epsilon": self.privacy.target_epsilon}

    @property
    def releases(self) -> tuple[PlannedRelease, ...]:
        """One: the classifier with its books."""
        return (
            PlannedRelease(
                name=self.name,
                label=self.label,
                kind=self.release_kind,
                what_leaves=self.what_leaves,
                recipe_of_scores=self.recipe,
                scales=self.scales,
                unprotected=self.unprotected if self.privacy else "",
                alike=self.alike,
            ),
        )

    def _epsilon(self, text: str) -> str:
        if self.privacy is None:
            return ""
        if self.privacy.target_epsilon is not None:
            return text.format(f"{self.privacy.target_epsilon:g}")
        return text.format(f"noise {self.privacy.noise_multiplier:g}").replace(" ", "")
