"""Settings of the attacker who does not know the pipeline; imports nothing heavy."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sudare.audits.checks.config import CheckConfig
from sudare.nets.registry import NetConfig
from sudare.training.recipe import Recipe


class OutsiderCheckConfig(CheckConfig):
    """Shadows that are plain classifiers of the attacker's own images."""

    check: ClassVar[str] = "sudare.audits.checks.outsider:OutsiderCheck"

    kind: Literal["outsider"] = "outsider"
    shadows: int = Field(default=8, ge=2, description="Plain nets on halves of the population.")
    net: NetConfig = Field(default=NetConfig(width=16), description="Their architecture.")
    recipe: Recipe = Field(
        default=Recipe(epochs=20, augmentation=()), description="How they are trained."
    )
