"""How one net learns, as values; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Schedule = Literal["constant", "cosine", "onecycle", "multistep"]
SmoothingSchedule = Literal["paper", "linear", "none"]
Augmentation = Literal["flip", "shift", "cutout", "dsa"]


class Recipe(BaseModel):
    """How one net learns.

    Exactly one of ``epochs`` and ``steps`` counts: ``steps`` wins when it is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(default=40, ge=1, description="Passes over the private images.")
    steps: int | None = Field(default=None, ge=1, description="Steps, instead of epochs.")
    batch_size: int = Field(default=64, ge=1, description="Images per step.")
    optimizer: Literal["sgd", "adam", "adamw"] = Field(default="sgd", description="Optimiser.")
    lr: float = Field(default=0.05, gt=0, description="Peak learning rate.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum (SGD).")
    weight_decay: float = Field(default=5e-4, ge=0, description="Weight decay.")
    schedule: Schedule = Field(default="cosine", description="Learning rate over the steps.")
    warmup: float = Field(default=0.05, ge=0, le=0.5, description="Share of steps that warm up.")
    label_smoothing: float = Field(
        default=0.0, le=1.0, description="Smoothing alpha; negative sharpens."
    )
    smoothing_schedule: SmoothingSchedule = Field(
        default="paper", description="How a negative alpha is phased in."
    )
    augmentation: tuple[Augmentation, ...] = Field(
        default=(),
        description="Random changes of each view: flip, shift, cutout; dsa: one of colour, crop, "
        "hole, scale, rotation (and flip, if that is there too) for each batch, as distilled "
        "images are trained on.",
    )
    adversarial: float = Field(
        default=0.0,
        ge=0,
        le=64,
        description="Grey levels of 255 by which each training image is changed against the net "
        "(adversarial training); 0: none.",
    )
    adversarial_steps: int = Field(default=5, ge=1, description="Steps of each such change.")
    balance: Literal["none", "sampling", "loss"] = Field(
        default="none",
        description="Make classes count equally: by drawing rare ones more often, or by weighing "
        "their losses.",
    )
    balance_by: Literal["class", "group"] = Field(
        default="class",
        description="What counts equally: classes, or each group within each class where the "
        "collection has groups.",
    )
    precision: Literal["float32", "bf16"] = Field(default="float32", description="Arithmetic.")
    compile: Literal["auto", "on", "off"] = Field(
        default="auto", description="Generate code for the net; auto: where it repays itself."
    )

    def passes(self, images: int) -> float:
        """Images that go forward and back while a net is trained on so many."""
        seen = self.steps * self.batch_size if self.steps else self.epochs * images
        return float(seen * (1 + self.adversarial_steps if self.adversarial else 1))


class DpConfig(BaseModel):
    """How a recipe is made differentially private (add/remove one image, Poisson sampling)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    target_epsilon: float | None = Field(
        default=None, gt=0, description="Epsilon to spend; 8 if neither is given."
    )
    noise_multiplier: float | None = Field(
        default=None,
        ge=0.05,
        le=1e6,
        description="Noise over clipping norm, instead of an epsilon.",
    )
    delta: float = Field(default=1e-5, gt=0, lt=1, description="Delta of the guarantee.")
    max_grad_norm: float = Field(default=1.0, gt=0, description="Clipping norm per image.")
    physical_batch: int = Field(default=256, ge=1, description="Images held at once.")

    @model_validator(mode="before")
    @classmethod
    def _one_of_both(cls, values: object) -> object:
        if not isinstance(values, Mapping):
            return values
        given = [values.get(name) for name in ("target_epsilon", "noise_multiplier")]
        if None not in given:
            raise ValueError("give target_epsilon or noise_multiplier, not both")
        return values if given != [None, None] else {**values, "target_epsilon": 8.0}
