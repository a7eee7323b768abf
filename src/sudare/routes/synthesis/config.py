"""Settings of synthetic images and the student trained on them; imports nothing heavy."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sudare.core.wording import say
from sudare.nets.registry import NetConfig
from sudare.routes.config import PlannedRelease, RouteConfig
from sudare.training.recipe import Recipe

Beside = Literal["teacher", "hard-student", "last", "generator"]


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GanConfig(_Values):
    """The conditional generator and how it is trained."""

    latent: int = Field(default=64, ge=1, description="Numbers a generated image starts from.")
    width: int = Field(default=32, ge=4, description="Channels of the last generator stage.")
    steps: int = Field(default=4000, ge=1, description="Steps, one of each net in each.")
    batch_size: int = Field(default=64, ge=2, description="Real and generated images a step.")
    lr: float = Field(default=4e-4, gt=0, description="Learning rate of both nets (Adam).")
    ema: float = Field(
        default=0.995, ge=0, lt=1, description="What is kept of the averaged weights each step."
    )
    penalty: float = Field(
        default=0.1, ge=0, description="Zero-centred gradient penalty on real and generated images."
    )
    penalty_every: int = Field(
        default=8, ge=1, description="Steps between penalties, which count for so many."
    )
    augment: bool = Field(
        default=True, description="Show the discriminator changed images (siamese augmentation)."
    )
    flips: bool = Field(default=False, description="Whether mirror images are images too.")
    snapshots: int = Field(default=8, ge=1, description="Generators kept, at log-spaced steps.")


class SelectionConfig(_Values):
    """How a generator and its settings are chosen, by what its images teach (CAS)."""

    holdout: float = Field(
        default=0.2, gt=0, le=0.5, description="Share of private units to choose on, by class."
    )
    steps: int = Field(
        default=300,
        ge=1,
        description="Steps of a student in the last round; half in the one before.",
    )
    seeds: int = Field(default=2, ge=1, description="Students a candidate in the last round.")
    sigmas: tuple[float, ...] = Field(
        default=(0.8, 1.0, 1.25), min_length=1, description="Spreads of the latent to try."
    )
    thresholds: tuple[float, ...] = Field(
        default=(-1.0, 0.0, 0.9),
        min_length=1,
        description="Filters to try: -1 none, 0 the teacher agrees, above that it is so sure.",
    )

    @model_validator(mode="after")
    def _in_range(self) -> SelectionConfig:
        if any(sigma <= 0 for sigma in self.sigmas):
            raise ValueError("spreads of the latent must be above 0")
        if any(not (t == -1 or 0 <= t < 1) for t in self.thresholds):
            raise ValueError("a filter is -1 (none) or lies between 0 and 1")
        return self


class GkdConfig(_Values):
    """Generative knowledge distillation: how a student learns from generated images."""

    targets: Literal["tckr", "mixture", "hard"] = Field(
        default="tckr",
        description="tckr: the teacher's answers, smoothed by 0.1 once more, labels discarded, as "
        "in the code of that name; mixture: as temperature and hard_share say; hard: labels.",
    )
    temperature: float = Field(default=1.0, gt=0, description="Of teacher and student (mixture).")
    hard_share: float = Field(
        default=0.0, ge=0, le=1, description="Weight of the conditioning label (mixture)."
    )
    cardinality: float = Field(
        default=1.0, gt=0, le=100, description="Generated images for each private one."
    )
    classes: Literal["shares", "equal"] = Field(
        default="shares",
        description="shares: classes are generated in the shares private images have; equal: as "
        "many of each, which a recipient of an uneven collection may learn more from.",
    )
    regenerate: int = Field(
        default=5, ge=0, description="Epochs after which they are drawn anew; 0: never."
    )


class SynthesisConfig(RouteConfig):
    """Generated images under a teacher's answers, and the student trained on such images."""

    route: ClassVar[str] = "sudare.routes.synthesis.build:SynthesisRoute"
    release_kind: ClassVar[str] = "samples"

    kind: Literal["synthesis"] = "synthesis"
    net: NetConfig = Field(default=NetConfig(), description="Teacher and student.")
    recipe: Recipe = Field(default=Recipe(), description="How both are trained.")
    gan: GanConfig = Field(default=GanConfig(), description="The generator.")
    selection: SelectionConfig = Field(
        default=SelectionConfig(), description="Which of its states, and how it is used."
    )
    gkd: GkdConfig = Field(default=GkdConfig(), description="How students learn.")
    beside: tuple[Beside, ...] = Field(
        default=(),
        description="Further releases of the same build to compare with: the teacher, a student "
        "of hard labels, the set of the last generator instead of the chosen one; or the generator "
        "as a release of its own.",
    )

    @property
    def candidates(self) -> int:
        """Settings of which one is chosen by what students learn from them."""
        selection = self.selection
        return self.gan.snapshots + len(selection.sigmas) * len(selection.thresholds)

    def passes(self, images: int, classes: int) -> float:
        """Teacher and student, both nets of the generator, and the students it is chosen by."""
        gan, selection = self.gan, self.selection
        chosen = self.candidates * selection.seeds * selection.steps * self.recipe.batch_size / 2
        nets = (1 + self.gkd.cardinality) * self.recipe.passes(images)
        return nets + 5 * gan.steps * gan.batch_size + chosen

    @property
    def default_name(self) -> str:
        """Name of the set within a run; the student is called after it."""
        parts = ["synthesis"]
        if self.gkd.cardinality != 1:
            parts.append(f"{self.gkd.cardinality:g}x")
        if self.gkd.targets != "tckr":
            parts.append(self.gkd.targets)
        if self.gkd.classes != "shares":
            parts.append(self.gkd.classes)
        if not self.gkd.regenerate:
            parts.append("fixed")
        return "-".join(parts)

    @property
    def default_label(self) -> str:
        """Name for charts and tables."""
        return self._called("set")

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return say("leaves.synthesis", times=f"{self.gkd.cardinality:g}")

    @property
    def releases(self) -> tuple[PlannedRelease, ...]:
        """The set, the student, and what is asked for beside them."""
        found = [
            PlannedRelease(
                name=self.name,
                label=self.label,
                kind="samples",
                what_leaves=self.what_leaves,
            ),
            PlannedRelease(
                name=f"{self.name}-student",
                label=self._called("student"),
                kind="classifier",
                what_leaves=say("leaves.student"),
                recipe_of_scores=self.recipe,
            ),
        ]
        kinds = {"last": "samples", "generator": "generator"}
        for what in self.beside:
            kind = kinds.get(what, "classifier")
            found.append(
                PlannedRelease(
                    name=f"{self.name}-{what}",
                    label=self._called(what),
                    kind=kind,
                    what_leaves=say(f"leaves.{what}"),
                    baseline=what != "generator",
                    recipe_of_scores=self.recipe if kind == "classifier" else None,
                )
            )
        return tuple(found)

    @property
    def without_baselines(self) -> Self:
        """Without teacher, student of hard labels and last state, which never leave."""
        return self.model_copy(
            update={"beside": tuple(what for what in self.beside if what == "generator")}
        )

    def _called(self, what: str) -> str:
        """What one of the releases is called, and how it differs from the usual one."""
        name, parts = say(f"label.synthesis_{what}"), []
        if what != "set" and (self.given_label or self.given_name):
            return say("label.with", name=self.label, how=name)
        if self.gkd.cardinality != 1:
            parts.append(say("label.times", times=f"{self.gkd.cardinality:g}"))
        if self.gkd.targets != "tckr":
            parts.append(say(f"label.targets_{self.gkd.targets}"))
        if self.gkd.classes != "shares":
            parts.append(say("label.classes_alike"))
        if not self.gkd.regenerate:
            parts.append(say("label.never_anew"))
        how = parts[0] if parts else ""
        for part in parts[1:]:
            how = say("list_step", first=how, last=part)
        return say("label.with", name=name, how=how) if parts else name
