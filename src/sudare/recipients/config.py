"""How a receiver trains on what they were given; imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sudare.nets.extractors.config import ExtractorConfig
from sudare.nets.registry import NetConfig
from sudare.training.recipe import Recipe


class HeadConfig(BaseModel):
    """How a head on drawn features is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    net: Literal["linear", "mlp"] = Field(default="linear", description="The head.")
    width: int = Field(default=256, ge=1, le=4096, description="Hidden units of an mlp.")
    per_class: int = Field(
        default=200, ge=1, le=100_000, description="Samples of each class in an epoch, all new."
    )
    epochs: int = Field(default=40, ge=1, description="Passes, each over other samples.")
    batch_size: int = Field(default=128, ge=1, description="Samples a step.")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate of Adam.")
    weight_decay: float = Field(default=0.0, ge=0, description="Decoupled weight decay.")


class RecipientConfig(BaseModel):
    """How recipients' models are trained on a released set."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    count: int = Field(default=2, ge=2, le=32, description="Models per build; scores are means.")
    net: NetConfig = Field(default=NetConfig(width=16), description="Their architecture.")
    head: HeadConfig = Field(
        default=HeadConfig(), description="Where features are released: the head on them."
    )
    extractor: ExtractorConfig | None = Field(
        default=None,
        description="The extractor you trust where a release names code of yours; else unused.",
    )
    recipe: Recipe = Field(
        default=Recipe(steps=300, batch_size=64), description="How each is trained."
    )
