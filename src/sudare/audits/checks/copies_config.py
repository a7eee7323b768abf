"""Settings of the search for copies; imports nothing heavy."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sudare.audits.checks.config import CheckConfig


class CopiesCheckConfig(CheckConfig):
    """Near copies of private images among released ones. It runs whether it is asked for or not."""

    check: ClassVar[str] = "sudare.audits.checks.copies:CopiesCheck"
    asks_models: ClassVar[bool] = False

    kind: Literal["copies"] = "copies"
    items: int = Field(default=1000, ge=1, description="Released images that are searched for.")
    planted: int = Field(
        default=60, ge=10, description="Altered private images that the search must find."
    )
