"""Settings of fairness between classes and groups; imports nothing heavy."""

from __future__ import annotations

from typing import ClassVar, Literal

from sudare.audits.checks.config import CheckConfig

__all__ = ["FairnessCheckConfig"]


class FairnessCheckConfig(CheckConfig):
    """How evenly a release serves classes, and groups where there are any."""

    check: ClassVar[str] = "sudare.audits.checks.fairness:FairnessCheck"
    label: ClassVar[str] = "fairness between classes and groups"

    kind: Literal["fairness"] = "fairness"
