"""Routes by name: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sudare.core.registry import Registry, load
from sudare.routes.config import RouteConfig

if TYPE_CHECKING:
    from sudare.routes.base import Route

ROUTES = Registry(
    "route",
    {
        "plain": "sudare.routes.classifiers.config:PlainConfig",
        "smoothing": "sudare.routes.classifiers.config:SmoothingConfig",
        "dpsgd": "sudare.routes.classifiers.config:DpsgdConfig",
        "subset": "sudare.routes.subset.config:SubsetConfig",
        "coreset": "sudare.routes.distillation.config:CoresetConfig",
        "distillation": "sudare.routes.distillation.config:DistillationConfig",
        "features": "sudare.routes.features.config:FeaturesConfig",
        "synthesis": "sudare.routes.synthesis.config:SynthesisConfig",
        "federation": "sudare.routes.federation.config:FederationConfig",
        "linear-public": "sudare.routes.classifiers.config:LinearPublicConfig",
    },
    group="sudare.routes",
)
"""Configuration classes; each names the class that builds."""


def config_class(kind: str) -> type[RouteConfig]:
    """The configuration class of a route."""
    return cast("type[RouteConfig]", ROUTES.load(kind))


def parse_route(values: object) -> RouteConfig:
    """A route's configuration from plain values with a ``kind``.

    Raises:
        ConfigError: No table, no kind, an unknown one, or values that do not fit.
    """
    return ROUTES.parse(values, RouteConfig)


def make_route(config: RouteConfig) -> Route[RouteConfig]:
    """The route that builds from a configuration. Imports torch."""
    route_class = cast("type[Route[RouteConfig]]", load(config.route))
    return route_class(config)
