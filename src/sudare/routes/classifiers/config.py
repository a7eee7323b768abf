"""The routes that train one classifier: plain, smoothed, with DP-SGD, and a linear head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from sudare.core.wording import say
from sudare.nets.registry import NetConfig
from sudare.routes.config import TrainedConfig
from sudare.training.recipe import DpConfig, Recipe, SmoothingSchedule

_PRIVATE = 3.0


class ClassifierConfig(TrainedConfig):
    """One classifier, with or without a privacy budget."""

    route: ClassVar[str] = "sudare.routes.classifiers.build:ClassifierRoute"

    @property
    def trained_by(self) -> Recipe:
        """The recipe, with whatever the route itself adds to it."""
        return self.recipe

    @property
    def budget(self) -> DpConfig | None:
        """Budget of DP-SGD; None where there is no protection."""
        return None

    @property
    def lanes(self) -> bool:
        """Small nets that take the same steps share a GPU; DP-SGD draws batches of any size."""
        return self.budget is None

    def passes(self, images: int, classes: int) -> float:
        """DP-SGD takes a gradient of every image by itself: about three times the work."""
        return self.trained_by.passes(images) * (1 if self.budget is None else _PRIVATE)


class PlainConfig(ClassifierConfig):
    """A classifier trained with hard labels and no protection."""

    baseline: ClassVar[bool] = True

    kind: Literal["plain"] = "plain"

    @property
    def scales(self) -> Mapping[str, float]:
        """No smoothing is the middle of its scale."""
        return {"smoothing": 0.0}

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        return say("label.plain")

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return say("leaves.plain")


class SmoothingConfig(ClassifierConfig):
    """A classifier trained on labels (1 - alpha) y + alpha / C."""

    kind: Literal["smoothing"] = "smoothing"
    alpha: float = Field(
        default=0.1, le=1.0, description="Strength; positive smooths, negative sharpens."
    )
    schedule: SmoothingSchedule | None = Field(
        default=None,
        description="How a negative alpha is phased in; as recipe.smoothing_schedule if not given.",
    )

    @property
    def scales(self) -> Mapping[str, float]:
        """Negative smoothing leaks no more than none, none no more than positive."""
        return {"smoothing": self.alpha}

    @property
    def trained_by(self) -> Recipe:
        """The recipe with smoothed labels."""
        schedule = self.schedule or self.recipe.smoothing_schedule
        update = {"label_smoothing": self.alpha, "smoothing_schedule": schedule}
        return self.recipe.model_copy(update=update)

    @property
    def default_name(self) -> str:
        """Name of the release within a run."""
        return f"smoothing{self.alpha:+g}"

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        return say("label.smoothing", alpha=f"{self.alpha:+g}")

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return say("leaves.smoothing", alpha=f"{self.alpha:+g}")


class DpsgdConfig(ClassifierConfig):
    """A classifier trained with clipped, noised gradients."""

    baseline: ClassVar[bool] = True
    unprotected: ClassVar[str] = "plain"

    kind: Literal["dpsgd"] = "dpsgd"
    # A large batch, no weight decay and no views: each costs accuracy under noise.
    recipe: Recipe = Field(
        default=Recipe(batch_size=256, lr=0.5, weight_decay=0.0, augmentation=()),
        description="How it is trained; batch_size is the expected size.",
    )
    privacy: DpConfig = Field(default=DpConfig(), description="Budget and clipping.")

    @property
    def budget(self) -> DpConfig | None:
        """Budget of DP-SGD."""
        return self.privacy

    @property
    def default_name(self) -> str:
        """Name of the release within a run."""
        if self.privacy.target_epsilon is not None:
            return f"dpsgd-eps{self.privacy.target_epsilon:g}"
        return f"dpsgd-noise{self.privacy.noise_multiplier:g}"

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        if self.privacy.target_epsilon is not None:
            return say("label.dpsgd", epsilon=f"{self.privacy.target_epsilon:g}")
        return say("label.dpsgd_noise", noise=f"{self.privacy.noise_multiplier:g}")

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return say("leaves.dpsgd")


FIXED = ("random-features",)
"""Nets of which only the head is trained."""


class LinearPublicConfig(ClassifierConfig):
    """A linear classifier on fixed public features, plain or with DP-SGD."""

    baseline: ClassVar[bool] = True
    unprotected: ClassVar[str] = "linear-public"
    own_fields: ClassVar[frozenset[str]] = frozenset({"net", "recipe"})

    kind: Literal["linear-public"] = "linear-public"
    net: NetConfig = Field(
        default=NetConfig(name="random-features"), description="Fixed features and a head."
    )
    recipe: Recipe = Field(
        default=Recipe(batch_size=256, lr=0.1, weight_decay=0.0, augmentation=()),
        description="How the head is trained.",
    )
    privacy: DpConfig | None = Field(default=None, description="Budget; none for a plain head.")

    @property
    def budget(self) -> DpConfig | None:
        """Budget of DP-SGD."""
        return self.privacy

    @field_validator("net")
    @classmethod
    def _features_are_fixed(cls, net: NetConfig) -> NetConfig:
        if net.name not in FIXED:
            raise ValueError(
                f"the features of {net.name} are trained on private images; "
                f"linear-public takes {', '.join(FIXED)}"
            )
        return net

    @property
    def default_name(self) -> str:
        """Name of the release within a run."""
        if self.privacy is None:
            return "linear-public"
        budget = self.privacy.target_epsilon
        noise = self.privacy.noise_multiplier
        return f"linear-public-{f'eps{budget:g}' if budget else f'noise{noise:g}'}"

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        if self.privacy is None:
            return say("label.linear")
        if self.privacy.target_epsilon is not None:
            return say("label.linear_epsilon", epsilon=f"{self.privacy.target_epsilon:g}")
        return say("label.linear_noise", noise=f"{self.privacy.noise_multiplier:g}")

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return say("leaves.linear")
