"""What every check's settings have; imports nothing heavy."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field


class CheckConfig(BaseModel):
    """Settings of a check, its budget among them; imports nothing heavy."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    check: ClassVar[str]
    """Dotted name of the class that runs it."""
    label: ClassVar[str] = ""
    """What the family is called in a sentence, such as "evasion"."""
    always: ClassVar[bool] = False
    """Whether it runs unasked, with settings that follow from the run's other sections."""
    of_shadows: ClassVar[bool] = False
    """Whether it measures the shadows of an artefact too, not only the artefact."""

    asks_models: ClassVar[bool] = True
    """Whether it asks the models that answer for a release; else they are not loaded."""
    told_members: ClassVar[bool] = False
    """Whether it is told who was in the build, which no attack is."""

    kind: str = Field(description="Name of the check.")
    builds: int | None = Field(
        default=None, ge=2, description="Builds of each release it measures; all if none."
    )

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that registries lead its check to: what is measured depends on their code."""
        return ()

    def passes(self, *, extractor: bool) -> float:
        """Images that go forward and back through the tested net in one build, roughly.

        What a run's time is foretold by, as of routes; 0 for what takes little.

        Args:
            extractor: Whether the way to that net leads through an extractor.
        """
        return 0.0
