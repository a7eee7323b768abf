"""Settings of model inversion; imports nothing heavy."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sudare.attacks.registry import PRIORS
from sudare.audits.checks.config import CheckConfig
from sudare.nets.registry import NetConfig
from sudare.training.recipe import Recipe


class InversionCheckConfig(CheckConfig):
    """Plug & Play model inversion of a release's net, judged by an independent evaluation net."""

    check: ClassVar[str] = "sudare.audits.checks.inversion:InversionCheck"

    kind: Literal["inversion"] = "inversion"
    prior: str = Field(default="pca", description="What decodes latents: pca, vae.")
    latent: int = Field(default=32, ge=1, description="Length of a latent.")
    prior_steps: int = Field(default=1500, ge=1, description="Training steps of a vae.")
    classes: int = Field(default=10, ge=2, description="Classes to be inverted, drawn by lot.")
    pool: int = Field(default=1000, ge=1, description="Latents tried first.")
    candidates: int = Field(default=10, ge=1, description="Best of them for each class.")
    keep: int = Field(default=5, ge=1, description="Optimised images kept of each class.")
    steps: int = Field(default=50, ge=1, description="Steps of the latents.")
    lr: float = Field(default=0.05, gt=0, description="Learning rate of the latents.")
    loss: Literal["poincare", "cross-entropy", "max-logit", "max-margin"] = Field(
        default="poincare", description="What is minimised."
    )
    views: int = Field(
        default=1, ge=1, description="Crops a step; above 1 adapts to masked gradients."
    )
    evaluator: NetConfig = Field(
        default=NetConfig(width=32, depth=4), description="The net that judges."
    )
    evaluator_recipe: Recipe = Field(
        default=Recipe(
            epochs=60,
            batch_size=32,
            optimizer="adam",
            lr=3e-3,
            weight_decay=0.0,
            augmentation=("shift",),
        ),
        description="How it is trained.",
    )
    extraction_steps: int = Field(
        default=200, ge=0, description="Steps of a student of attack images; 0: none."
    )
    blur: bool = Field(default=False, description="Blur real images beside attack images.")

    @field_validator("prior")
    @classmethod
    def _known(cls, prior: str) -> str:
        if prior not in PRIORS:
            raise ValueError(f"there is no prior called {prior!r}; known: {', '.join(PRIORS)}")
        return prior

    @model_validator(mode="after")
    def _each_at_most_the_next(self) -> InversionCheckConfig:
        if not self.keep <= self.candidates <= self.pool:
            raise ValueError("keep, candidates and pool must each be at most the next")
        return self

    @property
    def modules(self) -> tuple[str, ...]:
        """Of its prior."""
        return (PRIORS[self.prior].partition(":")[0],)

    def passes(self, *, extractor: bool) -> float:
        """What is optimised, and the latents that are tried first."""
        per_class = self.candidates * self.steps * self.views + self.pool / 3
        return self.classes * per_class
