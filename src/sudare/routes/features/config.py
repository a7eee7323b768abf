"""Configuration of the feature route: which distribution, over whose features."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sudare.core.wording import say
from sudare.nets.extractors.config import ExtractorConfig
from sudare.routes.config import PlannedRelease, RouteConfig
from sudare.training.recipe import Recipe

Bounds = Literal["none", "public", "dp", "private"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CvaeConfig(_Model):
    """The decoder of a conditional VAE, as published or by the textbook."""

    name: Literal["cvae"] = "cvae"
    mode: Literal["paper", "textbook"] = Field(
        default="paper",
        description="paper: with the reference code's log-sigma and its KL term, smallest at a "
        "variance of one half; textbook: log-variance and the exact KL divergence.",
    )
    bounds: Literal["public", "dp", "private"] | None = Field(
        default=None,
        description="Where the range of each number comes from; private (each bound is one "
        "image's own number) only in mode paper, which is its default. Else public.",
    )
    bounds_epsilon: float = Field(default=1.0, gt=0, description="Epsilon of bounds 'dp'.")
    latent: int = Field(default=50, ge=1, le=1024, description="Length of z.")
    hidden: int = Field(default=256, ge=1, le=4096, description="Hidden units.")
    beta: float = Field(default=0.1, ge=0, description="Weight of the KL term.")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate of Adam.")
    batch_size: int = Field(default=512, ge=2, description="Images a step.")
    epochs: int = Field(default=1000, ge=1, description="At most so many.")
    patience: int = Field(default=15, ge=1, description="Epochs without a better validation loss.")
    validation: float = Field(
        default=0.1, gt=0, lt=0.5, description="Share of the private images that stops training."
    )

    @model_validator(mode="after")
    def _private_is_the_papers(self) -> CvaeConfig:
        if self.bounds == "private" and self.mode != "paper":
            raise ValueError("private bounds tell who was a member; only mode 'paper' takes them")
        return self

    @property
    def range_from(self) -> Bounds:
        """Where the range of each number comes from."""
        return self.bounds or ("private" if self.mode == "paper" else "public")

    @property
    def slug(self) -> str:
        """For names."""
        own = "private" if self.mode == "paper" else "public"
        return f"cvae-{self.mode}" + (f"-{self.bounds}" if self.bounds not in (None, own) else "")

    @property
    def label(self) -> str:
        """For people."""
        bounds = f"_{self.range_from}_bounds" if self.bounds is not None else ""
        return say(f"label.cvae_{self.mode}{bounds}")

    @property
    def leaves(self) -> str:
        """What leaves, in a sentence."""
        return say(f"leaves.cvae_{self.range_from}")


class GaussianConfig(_Model):
    """A Gaussian for each class, of low rank plus a diagonal."""

    name: Literal["gaussian"] = "gaussian"
    rank: int = Field(default=10, ge=0, le=512, description="Directions kept; 0: a diagonal.")
    images_per_rank: int = Field(
        default=20,
        ge=2,
        description="Images of a class that each direction needs: a higher rank is cut to that. "
        "At 4 the likelihood attack reached AUC 0.70 and 0.78 (benchmarks/features).",
    )

    @property
    def slug(self) -> str:
        """For names."""
        return f"gaussian-rank{self.rank}"

    @property
    def label(self) -> str:
        """For people."""
        return (
            say("label.gaussian", rank=self.rank) if self.rank else say("label.gaussian_diagonal")
        )

    @property
    def leaves(self) -> str:
        """What leaves, in a sentence."""
        return say("leaves.gaussian")


class KSameConfig(_Model):
    """Centroids of k images each."""

    name: Literal["ksame"] = "ksame"
    k: int = Field(default=5, ge=1, description="Images behind each centroid; 1: the images' own.")
    within_class: bool = Field(
        default=True,
        description="Group images of one class; otherwise, as published, classes are mixed and "
        "a centroid stands under the labels of all its images.",
    )

    @property
    def slug(self) -> str:
        """For names."""
        return f"ksame{self.k}" + ("" if self.within_class else "-mixed")

    @property
    def label(self) -> str:
        """For people."""
        if self.k == 1:
            return say("label.features")
        return say("label.ksame" if self.within_class else "label.ksame_mixed", k=self.k)

    @property
    def leaves(self) -> str:
        """What leaves, in a sentence."""
        if self.k == 1:
            return say("leaves.features")
        return say("leaves.ksame", k=self.k)


class DpGaussianConfig(_Model):
    """A Gaussian for each class from sums with noise: differentially private."""

    name: Literal["dp-gaussian"] = "dp-gaussian"
    epsilon: float = Field(default=8.0, gt=0, description="Epsilon, add or remove one image.")
    delta: float = Field(default=1e-5, gt=0, lt=1, description="Delta.")

    @property
    def slug(self) -> str:
        """For names."""
        return f"dp-gaussian-eps{self.epsilon:g}"

    @property
    def label(self) -> str:
        """For people."""
        return say("label.dp_gaussian", epsilon=f"{self.epsilon:g}")

    @property
    def leaves(self) -> str:
        """What leaves, in a sentence."""
        return say("leaves.dp_gaussian")


ModelConfig = Annotated[
    CvaeConfig | GaussianConfig | KSameConfig | DpGaussianConfig, Field(discriminator="name")
]


class FeaturesConfig(RouteConfig):
    """A distribution over features of a fixed public net, one for each class."""

    route: ClassVar[str] = "sudare.routes.features.build:FeaturesRoute"
    release_kind: ClassVar[str] = "sampler"

    kind: Literal["features"] = "features"
    model: ModelConfig = Field(default=GaussianConfig(), description="The distribution.")
    extractor: ExtractorConfig = Field(
        default=ExtractorConfig(), description="The fixed net that gives the features."
    )
    precision: Literal["fp16", "fp32"] = Field(
        default="fp16", description="How numbers leave; half is enough for features."
    )

    def passes(self, images: int, classes: int) -> float:
        """Features are computed once a run; what is fitted on them is small."""
        return float(images * (10 if isinstance(self.model, CvaeConfig) else 0.1))

    @property
    def default_name(self) -> str:
        """Name of the release within a run."""
        return self.model.slug

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        return self.model.label

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return self.model.leaves

    @property
    def recipe_of_scores(self) -> Recipe:
        """Heads never see mirror images: features are drawn, not pictures."""
        return Recipe(augmentation=())

    @property
    def releases(self) -> tuple[PlannedRelease, ...]:
        """One sampler; k-same is the method's own baseline."""
        (planned,) = super().releases
        baseline = isinstance(self.model, KSameConfig)
        return (replace(planned, baseline=baseline, extractor=self.extractor),)
