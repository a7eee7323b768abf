"""Settings of the checks that every run has; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sudare.attacks.registry import SIGNALS
from sudare.audits.checks.config import CheckConfig

if TYPE_CHECKING:
    from sudare.audits.config import RunConfig
    from sudare.routes.config import PlannedRelease


class UtilityCheckConfig(CheckConfig):
    """Answers to the test images."""

    check: ClassVar[str] = "sudare.audits.checks.utility:UtilityCheck"
    always: ClassVar[bool] = True

    kind: Literal["utility"] = "utility"


class MembershipCheckConfig(CheckConfig):
    """Signals of pool and population, for the membership tests of ``attacks``."""

    check: ClassVar[str] = "sudare.audits.checks.membership:MembershipCheck"
    always: ClassVar[bool] = True
    of_shadows: ClassVar[bool] = True

    kind: Literal["membership"] = "membership"
    queries: int = Field(
        default=1, ge=1, le=2, description="1: the image alone; 2: its mirror image too."
    )
    boundary_images: int = Field(default=0, ge=0, description="Images searched for the boundary.")
    boundary_queries: int = Field(default=300, ge=20, description="Questions about each of them.")

    @property
    def modules(self) -> tuple[str, ...]:
        """Of every signal."""
        return tuple(target.partition(":")[0] for target in SIGNALS.values())

    @classmethod
    def of(cls, config: RunConfig, planned: PlannedRelease | None) -> MembershipCheckConfig:
        """As a run asks for it.

        Args:
            config: The run.
            planned: The release; None where nobody knows how it was trained.
        """
        attacks = config.attacks
        return cls(
            queries=2 if _mirrored(config, planned) else 1,
            boundary_images=attacks.boundary_images,
            boundary_queries=attacks.boundary_queries,
        )


class TracesCheckConfig(CheckConfig):
    """What training itself showed: the spread of each image's loss, and where sets started."""

    check: ClassVar[str] = "sudare.audits.checks.traces:TracesCheck"
    always: ClassVar[bool] = True
    asks_models: ClassVar[bool] = False

    kind: Literal["traces"] = "traces"


class CopyingCheckConfig(CheckConfig):
    """How near released images are to members, beside others: diagnostics of a set."""

    check: ClassVar[str] = "sudare.audits.checks.copying:CopyingCheck"
    always: ClassVar[bool] = True
    asks_models: ClassVar[bool] = False
    told_members: ClassVar[bool] = True

    kind: Literal["copying"] = "copying"


class CostCheckConfig(CheckConfig):
    """Seconds, megabytes and money."""

    check: ClassVar[str] = "sudare.audits.checks.cost:CostCheck"
    always: ClassVar[bool] = True
    asks_models: ClassVar[bool] = False

    kind: Literal["cost"] = "cost"


def checks_of(config: RunConfig, planned: PlannedRelease | None = None) -> tuple[CheckConfig, ...]:
    """Every check of a release, in the order in which they are judged.

    Args:
        config: The run.
        planned: The release; None where nobody knows how it was trained.
    """
    return (
        UtilityCheckConfig(),
        MembershipCheckConfig.of(config, planned),
        TracesCheckConfig(),
        CopyingCheckConfig(),
        *config.checks,
        CostCheckConfig(),
    )


def _mirrored(config: RunConfig, planned: PlannedRelease | None) -> bool:
    """Whether mirror images are asked about: by default only where training showed them.

    A net that never saw mirrors says little about them, and averaged over both hides its leak.
    """
    if config.attacks.queries != "auto":
        return config.attacks.queries == "mirror"
    if planned is None:
        return False
    return "flip" in (planned.recipe_of_scores or config.recipients.recipe).augmentation
