"""What every route's configuration has; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sudare.core.hashing import canonical_json
from sudare.core.printable import unprintable
from sudare.core.wording import say
from sudare.nets.extractors.config import ExtractorConfig
from sudare.nets.registry import NetConfig
from sudare.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class PlannedRelease:
    """A release that a route will emit, before it is built.

    Attributes:
        name: Name within the run, such as ``dpsgd-eps8``; unique.
        label: Name for charts and tables.
        kind: What it can do.
        what_leaves: One sentence: what the recipient gets.
        baseline: Whether it is there for comparison rather than as a proposal.
        recipe_of_scores: How the net that an attacker queries is trained; None where recipients
            train it, or nobody does.
        scales: Where it stands on scales that several routes share: theory or published work
            expects that further up leaks no less.
        unprotected: Name of the route that differs by having no guarantee, or empty.
        alike: What another release must share for an order between them to be expected.
        extractor: The net whose features it is about, as the configuration names it; None where
            it is about pixels.
    """

    name: str
    label: str
    kind: str
    what_leaves: str
    baseline: bool = False
    recipe_of_scores: Recipe | None = None
    scales: Mapping[str, float] = field(default_factory=dict, hash=False)
    unprotected: str = ""
    alike: str = ""
    extractor: ExtractorConfig | None = None


class RouteConfig(BaseModel):
    """What every route's configuration has."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
    )

    route: ClassVar[str]
    """Dotted name of the class that builds; imported when something is built."""
    baseline: ClassVar[bool] = False
    release_kind: ClassVar[str]
    unprotected: ClassVar[str] = ""
    """Name of the route that differs by having no guarantee."""
    own_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that make the route what it is: defaults of a whole run do not touch them."""

    kind: str = Field(description="Name of the route.")
    given_name: str | None = Field(
        default=None,
        alias="name",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]{0,59}$",
        description="Name within the run, such as plain-wide, where two variants of a route stand "
        "side by side; else it follows from the settings.",
    )
    given_label: str | None = Field(
        default=None,
        alias="label",
        min_length=1,
        max_length=120,
        description="Name for charts and tables, likewise.",
    )
    builds: int | None = Field(
        default=None, ge=4, description="Builds of this route, even; as many as the run has."
    )

    @field_validator("builds")
    @classmethod
    def _even(cls, builds: int | None) -> int | None:
        if builds is not None and builds % 2:
            raise ValueError(f"builds come in complementary pairs; {builds} is odd")
        return builds

    @property
    def lanes(self) -> bool:
        """Whether several builds at once take less time than one after the other, on a GPU."""
        return False

    @field_validator("given_label")
    @classmethod
    def _for_print(cls, label: str | None) -> str | None:
        if label is not None and (hidden := unprintable(label)):
            raise ValueError(f"a label holds a character that is not for print: {hidden!r}")
        return label

    @property
    def name(self) -> str:
        """Name within a run, such as ``dpsgd-eps8``: as given, else as the settings say."""
        return self.given_name or self.default_name

    @property
    def label(self) -> str:
        """Name for charts and tables; a variant that has only a name is told by it."""
        if self.given_label:
            return self.given_label
        if self.given_name and self.given_name != self.default_name:
            return say("label.with", name=self.default_label, how=self.given_name)
        return self.default_label

    @property
    def default_name(self) -> str:
        """Name that follows from the settings."""
        return self.kind

    @property
    def default_label(self) -> str:
        """Name for charts and tables that follows from the settings."""
        return self.kind

    @property
    def alike(self) -> str:
        """What two variants must share for an order between them to be expected: the net."""
        net = getattr(self, "net", None)
        return canonical_json(net.model_dump(mode="json")) if isinstance(net, NetConfig) else ""

    @property
    def what_leaves(self) -> str:
        """One sentence: what the recipient gets."""
        return ""

    @property
    def recipe_of_scores(self) -> Recipe | None:
        """How the net that an attacker queries is trained; None if recipients train it."""
        return None

    @property
    def wanted_of_each_class(self) -> int:
        """Private images of each class that a build cannot do without."""
        return 0

    def given_public(self) -> Self:
        """The route where the owner declared images beyond the collection public."""
        return self

    def passes(self, images: int, classes: int) -> float:
        """Images that go forward and back through a net in one build, roughly.

        What a run's time is foretold by; a route that trains otherwise says its own.

        Args:
            images: Private images of a build.
            classes: Number of classes.
        """
        recipe = self.recipe_of_scores
        return 0.0 if recipe is None else recipe.passes(images)

    @property
    def scales(self) -> Mapping[str, float]:
        """Where it stands on scales that several routes share: further up leaks no less."""
        return {}

    @property
    def releases(self) -> tuple[PlannedRelease, ...]:
        """What it will emit; one release of the route's own name unless a route says otherwise."""
        return (
            PlannedRelease(
                name=self.name,
                label=self.label,
                kind=self.release_kind,
                what_leaves=self.what_leaves,
                baseline=self.baseline,
                recipe_of_scores=self.recipe_of_scores,
                scales=self.scales,
                unprotected=self.unprotected,
                alike=self.alike,
            ),
        )

    @property
    def without_baselines(self) -> Self:
        """The same route without what it builds for comparison only."""
        return self


class TrainedConfig(RouteConfig):
    """A route that trains one classifier."""

    release_kind: ClassVar[str] = "classifier"

    net: NetConfig = Field(default=NetConfig(), description="Architecture.")
    recipe: Recipe = Field(default=Recipe(), description="How it is trained.")

    @property
    def recipe_of_scores(self) -> Recipe | None:
        """How the net that an attacker queries is trained."""
        return self.recipe
