"""The ways to share: each route's configuration and build, by name."""

from sudare.routes.config import RouteConfig
from sudare.routes.registry import CONFIGS, ROUTES, make_route, parse_route

__all__ = ["CONFIGS", "ROUTES", "RouteConfig", "make_route", "parse_route"]
