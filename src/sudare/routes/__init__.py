"""The ways to share: each route's configuration and build, by name."""

from sudare.routes.config import PlannedRelease, RouteConfig
from sudare.routes.registry import ROUTES, make_route, parse_route

__all__ = ["ROUTES", "PlannedRelease", "RouteConfig", "make_route", "parse_route"]
