"""How a receiver trains on what they were given; imports nothing heavy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sudare.nets.registry import NetConfig
from sudare.training.recipe import Recipe

__all__ = ["RecipientConfig"]


class RecipientConfig(BaseModel):
    """How recipients' models are trained on a released set."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    count: int = Field(default=2, ge=2, le=32, description="Models per build; scores are means.")
    net: NetConfig = Field(default=NetConfig(width=16), description="Their architecture.")
    recipe: Recipe = Field(
        default=Recipe(steps=300, batch_size=64), description="How each is trained."
    )
