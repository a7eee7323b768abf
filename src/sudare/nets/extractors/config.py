"""Which extractor, and at what size it sees images; imports nothing heavy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sudare.core.registry import Registry

EXTRACTORS = Registry(
    "extractor",
    {
        "efficientnet-lite0": "sudare.nets.extractors.efficientnet:efficientnet_lite0",
        "random-features": "sudare.nets.extractors.random_filters:random_filters",
    },
)
"""Functions that make an extractor from a size in pixels."""

HUB, CODE = "transformers:", "code:"
"""Beginnings of names that stand for a model of the hub or a folder, and for the user's code."""


class ExtractorConfig(BaseModel):
    """A frozen net whose features a route works on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        default="efficientnet-lite0",
        description="efficientnet-lite0, random-features, transformers:HUB-NAME-OR-FOLDER, or "
        "code:MODULE:FUNCTION for a torch module of yours.",
    )
    size_px: int = Field(
        default=96, ge=8, le=518, description="Images are resized to this before it sees them."
    )

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name.startswith(CODE) and name.removeprefix(CODE).count(":") != 1:
            raise ValueError(f"{name!r} does not name a function: write code:MODULE:FUNCTION")
        if not name.startswith((HUB, CODE)) and name not in EXTRACTORS:
            known = ", ".join(sorted(EXTRACTORS))
            raise ValueError(
                f"there is no extractor called {name!r}; known are {known}, {HUB}NAME and "
                f"{CODE}MODULE:FUNCTION"
            )
        return name

    @property
    def label(self) -> str:
        """Name for tables."""
        return self.name.removeprefix(HUB).removeprefix(CODE)
