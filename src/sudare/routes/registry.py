"""Routes by name: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from sudare.core.errors import ConfigError
from sudare.core.registry import Registry
from sudare.routes.config import RouteConfig

if TYPE_CHECKING:
    from sudare.routes.base import Route

__all__ = ["ROUTES", "config_class", "make_route", "parse_route"]

ROUTES = Registry(
    "route",
    {
        "plain": "sudare.routes.classifiers.config:PlainConfig",
        "smoothing": "sudare.routes.classifiers.config:SmoothingConfig",
        "dpsgd": "sudare.routes.classifiers.config:DpsgdConfig",
        "subset": "sudare.routes.subset.config:SubsetConfig",
        "linear-public": "sudare.routes.classifiers.config:LinearPublicConfig",
    },
    group="sudare.routes",
)
"""Configuration classes; each names the class that builds."""


def config_class(kind: str) -> type[RouteConfig]:
    """The configuration class of a route."""
    return cast("type[RouteConfig]", ROUTES.load(kind))


def parse_route(values: Mapping[str, Any] | RouteConfig) -> RouteConfig:
    """A route's configuration from plain values with a ``kind``.

    Raises:
        ConfigError: No kind, an unknown one, or values that do not fit.
    """
    if isinstance(values, RouteConfig):
        return values
    kind = values.get("kind")
    if not isinstance(kind, str):
        raise ConfigError("a route needs a kind", where="routes", fix='For example kind = "plain".')
    try:
        return config_class(kind).model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(first["msg"].lower(), where=f"routes.{kind}.{place}") from error


def make_route(config: RouteConfig) -> Route[RouteConfig]:
    """The route that builds from a configuration. Imports torch."""
    module, _, name = config.route.partition(":")
    route_class = cast("type[Route[RouteConfig]]", getattr(import_module(module), name))
    return route_class(config)
