"""Configuration of dataset distillation and of the chosen subsets it is compared with."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sudare.core.wording import say
from sudare.nets.registry import NetConfig
from sudare.routes.config import RouteConfig
from sudare.training.recipe import Recipe


class _Method(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    title: ClassVar[str]

    batch_real: int = Field(default=256, ge=1, description="Real images of a class a step.")
    momentum: float = Field(default=0.5, ge=0, lt=1, description="Momentum of the images.")


class DmConfig(_Method):
    """Distribution matching: class means in random nets' features."""

    title: ClassVar[str] = "DM"

    name: Literal["dm"] = "dm"
    iterations: int = Field(default=20_000, ge=1, description="Steps, each with a new random net.")
    lr: float = Field(default=1.0, gt=0, description="Learning rate of the images.")

    def passes(self, images: int, learned: int, classes: int) -> float:
        """Real images only go forward."""
        return self.iterations * (classes * self.batch_real / 2 + learned)


class DsaConfig(_Method):
    """Gradient matching with siamese augmentation."""

    title: ClassVar[str] = "DSA"

    name: Literal["dsa"] = "dsa"
    iterations: int = Field(default=1000, ge=1, description="New random nets.")
    outer: int | None = Field(
        default=None, ge=1, description="Matching steps a net; the published ones if none."
    )
    inner: int | None = Field(
        default=None, ge=0, description="Epochs on the images between them; published if none."
    )
    lr: float = Field(default=0.1, gt=0, description="Learning rate of the images.")
    net_lr: float = Field(default=0.01, gt=0, description="Learning rate of the net.")

    def passes(self, images: int, learned: int, classes: int) -> float:
        """A gradient of the real ones, one of the gradient of the learned ones, and the nets'."""
        outer, inner = self.outer or 10, 50 if self.inner is None else self.inner
        real = min(self.batch_real, images // classes) * classes
        return self.iterations * outer * (real + 3 * learned + inner * learned)


class MttConfig(_Method):
    """Trajectory matching: experts' paths through weight space."""

    title: ClassVar[str] = "MTT"

    name: Literal["mtt"] = "mtt"
    iterations: int = Field(default=5000, ge=1, description="Steps of the images.")
    experts: int = Field(default=100, ge=1, description="Nets trained on the private images.")
    expert_epochs: int = Field(default=50, ge=1, description="Epochs of each.")
    expert_lr: float = Field(default=0.01, gt=0, description="Their learning rate.")
    span: int = Field(default=2, ge=1, description="Expert epochs to be matched.")
    latest_start: int = Field(default=20, ge=1, description="Last epoch but one to start from.")
    inner_steps: int = Field(default=30, ge=1, description="Steps of the student.")
    lr: float = Field(default=100.0, gt=0, description="Learning rate of the images.")
    student_lr: float = Field(default=0.01, gt=0, description="Learned learning rate's start.")
    student_lr_lr: float = Field(
        default=0.1, ge=0, description="Learning rate of its logarithm; 0 keeps it."
    )

    def passes(self, images: int, learned: int, classes: int) -> float:
        """Experts on the private images, then a student whose steps are differentiated."""
        student = 3 * self.inner_steps * min(learned, 256)
        return self.experts * self.expert_epochs * images + self.iterations * student


class IdcConfig(_Method):
    """Gradient matching of several formations stored in one image."""

    title: ClassVar[str] = "IDC"

    name: Literal["idc"] = "idc"
    batch_real: int = Field(default=64, ge=1, description="Real images of a class a step.")
    factor: int = Field(
        default=2, ge=1, le=4, description="A stored image holds factor x factor images."
    )
    iterations: int = Field(default=2000, ge=1, description="New random nets.")
    inner: int = Field(default=100, ge=1, description="Matching steps a net, all classes in each.")
    net_images: int = Field(
        default=500, ge=0, description="Real images the net sees after each of them."
    )
    distance: Literal["l1", "mse"] = Field(
        default="mse", description="Between gradients; the authors take l1 for digits and clothes."
    )
    lr: float = Field(default=5e-3, gt=0, description="Learning rate of the images in 0 to 1.")
    net_lr: float = Field(default=0.01, gt=0, description="Learning rate of the net.")

    def passes(self, images: int, learned: int, classes: int) -> float:
        """As gradient matching, with more images in each one."""
        real = min(self.batch_real, images // classes) * classes
        step = real + 3 * learned * self.factor**2 + self.net_images
        return float(self.iterations * self.inner * step)


MethodConfig = Annotated[DmConfig | DsaConfig | MttConfig | IdcConfig, Field(discriminator="name")]


class DistillationConfig(RouteConfig):
    """A few learned images of each class that train a net as the private ones would."""

    route: ClassVar[str] = "sudare.routes.distillation.build:DistillationRoute"
    release_kind: ClassVar[str] = "samples"
    own_fields: ClassVar[frozenset[str]] = frozenset({"net"})

    kind: Literal["distillation"] = "distillation"
    method: MethodConfig = Field(default=DmConfig(), description="How they are learned.")
    images_per_class: int = Field(default=10, ge=1, le=1000, description="Learned images a class.")
    init: Literal["noise", "public", "real"] = Field(
        default="noise",
        description="Where they start: noise, images declared public (data.public), or random "
        "private images as published: then they may stay those images.",
    )
    flips: bool = Field(default=False, description="Whether mirror images are images too.")
    net: NetConfig = Field(default=NetConfig(), description="The net they are learned on.")
    precision: Literal["fp16", "fp32"] = Field(default="fp16", description="How numbers leave.")

    @model_validator(mode="after")
    def _has_an_embedding(self) -> Self:
        if self.method.name == "dm" and self.net.name != "convnet":
            raise ValueError(
                f"net {self.net.name!r} has no features that DM could match; take convnet"
            )
        return self

    @property
    def wanted_of_each_class(self) -> int:
        """As many as it starts from, where they are private ones."""
        factor = getattr(self.method, "factor", 1)
        return self.images_per_class * factor**2 if self.init == "real" else 0

    def given_public(self) -> Self:
        """It starts from them, where nothing else was asked for."""
        asked = "init" in self.model_fields_set
        return self if asked else self.model_copy(update={"init": "public"})

    def passes(self, images: int, classes: int) -> float:
        """What the method takes."""
        return self.method.passes(images, classes * self.images_per_class, classes)

    @property
    def default_name(self) -> str:
        """Name of the release within a run."""
        start = "" if self.init == "noise" else f"-{self.init}"
        return f"{self.method.name}-{self.images_per_class}{start}"

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        count = self.images_per_class
        return say(f"label.distilled_{self.init}", method=self.method.title, count=count)

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return say(f"leaves.distilled_{self.init}", count=self.images_per_class)


class CoresetConfig(RouteConfig):
    """Real images that are chosen, or random ones with a teacher's soft labels."""

    route: ClassVar[str] = "sudare.routes.distillation.coreset:CoresetRoute"
    release_kind: ClassVar[str] = "samples"
    baseline: ClassVar[bool] = True

    kind: Literal["coreset"] = "coreset"
    method: Literal["k-center", "herding", "soft-labels"] = Field(
        default="k-center",
        description="k-center: far apart; herding: whose mean is the class's; soft-labels: random "
        "ones under the answers of a teacher.",
    )
    images_per_class: int = Field(default=10, ge=1, description="Real images of each class.")
    net: NetConfig = Field(default=NetConfig(), description="The teacher, for soft labels.")
    recipe: Recipe = Field(default=Recipe(), description="How the teacher is trained.")

    def passes(self, images: int, classes: int) -> float:
        """A teacher, where there is one."""
        return self.recipe.passes(images) if self.method == "soft-labels" else 0.0

    @property
    def wanted_of_each_class(self) -> int:
        """As many as are chosen."""
        return self.images_per_class

    @property
    def default_name(self) -> str:
        """Name of the release within a run."""
        return f"{self.method}-{self.images_per_class}"

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        return say(f"label.coreset_{self.method}", count=self.images_per_class)

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        soft = "_soft" if self.method == "soft-labels" else ""
        return say(f"leaves.coreset{soft}", count=self.images_per_class)
