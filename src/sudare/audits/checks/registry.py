"""Checks by name: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sudare.audits.checks.config import CheckConfig
from sudare.core.figures import declare
from sudare.core.registry import Registry, load

if TYPE_CHECKING:
    from sudare.audits.checks.base import Check

CHECKS = Registry(
    "check",
    {
        "calibration": "sudare.audits.checks.calibration:CalibrationCheckConfig",
        "copies": "sudare.audits.checks.copies_config:CopiesCheckConfig",
        "copying": "sudare.audits.checks.built_in:CopyingCheckConfig",
        "cost": "sudare.audits.checks.built_in:CostCheckConfig",
        "evasion": "sudare.audits.checks.evasion_config:EvasionCheckConfig",
        "fairness": "sudare.audits.checks.fairness_config:FairnessCheckConfig",
        "inversion": "sudare.audits.checks.inversion_config:InversionCheckConfig",
        "membership": "sudare.audits.checks.built_in:MembershipCheckConfig",
        "outsider": "sudare.audits.checks.outsider_config:OutsiderCheckConfig",
        "sampler": "sudare.audits.checks.sampler_config:SamplerCheckConfig",
        "traces": "sudare.audits.checks.built_in:TracesCheckConfig",
        "utility": "sudare.audits.checks.built_in:UtilityCheckConfig",
    },
    group="sudare.checks",
)
"""Configuration classes; each names the class that runs it."""


def check_class(kind: str) -> type[CheckConfig]:
    """The configuration class of a check."""
    return cast("type[CheckConfig]", CHECKS.load(kind))


def parse_check(values: object) -> CheckConfig:
    """A check's configuration from plain values with a ``kind``.

    Raises:
        ConfigError: No table, no kind, an unknown one, or values that do not fit.
    """
    return CHECKS.parse(values, CheckConfig)


def declare_figures() -> None:
    """Make the figures of every check known, whether it runs or not. Imports torch."""
    for kind in CHECKS:
        declare(cast("type[Check[CheckConfig]]", load(check_class(kind).check)).figures)


def make_check(config: CheckConfig) -> Check[CheckConfig]:
    """The check that runs with a configuration. Imports torch."""
    check_class = cast("type[Check[CheckConfig]]", load(config.check))
    return check_class(config)
