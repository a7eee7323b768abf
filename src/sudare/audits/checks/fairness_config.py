"""Settings of fairness between classes and groups; imports nothing heavy."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sudare.audits.checks.config import CheckConfig
from sudare.nets.registry import NetConfig
from sudare.training.recipe import Recipe


class FairnessCheckConfig(CheckConfig):
    """How evenly a release serves classes, and groups where there are any."""

    check: ClassVar[str] = "sudare.audits.checks.fairness:FairnessCheck"

    kind: Literal["fairness"] = "fairness"
    matched: int = Field(
        default=3,
        ge=0,
        description="Plain classifiers of other images, trained at each of five sizes, that say "
        "what gap goes with what accuracy; at least two for an interval, 0 to leave it out.",
    )
    net: NetConfig = Field(default=NetConfig(width=16), description="Their architecture.")
    recipe: Recipe = Field(
        default=Recipe(epochs=40, augmentation=()), description="How they are trained."
    )
