"""Checks by name: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from sudare.core.errors import ConfigError
from sudare.core.registry import Registry

if TYPE_CHECKING:
    from sudare.audits.checks.base import Check
    from sudare.audits.checks.config import CheckConfig

__all__ = ["CHECKS", "check_class", "make_check", "parse_check"]

CHECKS = Registry("check", {}, group="sudare.checks")
"""Configuration classes; each names the class that runs it."""


def check_class(kind: str) -> type[CheckConfig]:
    """The configuration class of a check."""
    return cast("type[CheckConfig]", CHECKS.load(kind))


def parse_check(values: Mapping[str, Any] | CheckConfig) -> CheckConfig:
    """A check's configuration from plain values with a ``kind``.

    Raises:
        ConfigError: No kind, an unknown one, or values that do not fit.
    """
    if not isinstance(values, Mapping):
        return values
    kind = values.get("kind")
    if not isinstance(kind, str):
        raise ConfigError("a check needs a kind", where="checks", fix="Name it: kind = ...")
    try:
        return check_class(kind).model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(first["msg"].lower(), where=f"checks.{kind}.{place}") from error


def make_check(config: CheckConfig) -> Check[CheckConfig]:
    """The check that runs with a configuration. Imports torch."""
    module, _, name = config.check.partition(":")
    check_class = cast("type[Check[CheckConfig]]", getattr(import_module(module), name))
    return check_class(config)
