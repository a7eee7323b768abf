"""Turning flags into configuration values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter, Token

from sudare.core.errors import ConfigError
from sudare.core.names import did_you_mean


def with_options(values: Mapping[str, Any], options: Mapping[str, object]) -> dict[str, Any]:
    """Values with those options that were given, by dotted name."""
    result = deepcopy(dict(values))
    for name, value in options.items():
        if value is not None:
            *path, last = name.split(".")
            here = result
            for step in path:
                here = here.setdefault(step, {})
            here[last] = value
    return result


def whole(kind: object, tokens: Sequence[Token]) -> int:
    """A whole number; 4.5 is none, and is not cut to 4.

    Raises:
        ValueError: Something else.
    """
    text = tokens[0].value
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no whole number.") from error


Whole: TypeAlias = Annotated[int, Parameter(converter=whole)]


def numbers(text: str, *, where: str) -> list[float]:
    """Numbers with commas between them.

    Raises:
        ConfigError: Something else.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is not a list of numbers", where=where, fix="Write -0.05,0,0.1."
        ) from error


def choose_routes(values: Mapping[str, Any], routes: str | None) -> dict[str, Any]:
    """Only the named routes: the preset's where it has them, built-in settings otherwise.

    Raises:
        ConfigError: A name that is no route.
    """
    if routes is None:
        return dict(values)
    from sudare.routes.registry import ROUTES, parse_route

    known = values.get("routes", [])
    if not isinstance(known, list) or not all(isinstance(route, Mapping) for route in known):
        raise ConfigError(
            "routes are not a list of tables",
            where="routes",
            fix='Write [[routes]] kind = "plain".',
        )
    named = [(parse_route(route).name, route) for route in known]
    chosen = []
    for wanted in (name.strip() for name in routes.split(",") if name.strip()):
        found = [route for name, route in named if wanted in (name, route["kind"])]
        if not found and wanted not in ROUTES:
            raise ConfigError(
                f"there is no route called {wanted!r}",
                where="--routes",
                fix=did_you_mean(
                    wanted,
                    [*(name for name, _ in named), *ROUTES],
                    otherwise=f"Choose from: {', '.join(ROUTES)}.",
                ),
            )
        chosen += [route for route in (found or [{"kind": wanted}]) if route not in chosen]
    return {**values, "routes": chosen}


def choose_route(values: Mapping[str, Any], route: str) -> dict[str, Any]:
    """Only the named route, which must be one.

    Raises:
        ConfigError: A name that is no route, or that is more than one.
    """
    from sudare.routes.registry import ROUTES, parse_route

    chosen = choose_routes(values, route)
    names = [parse_route(found).name for found in chosen["routes"]]
    if not names:
        raise ConfigError("no route is named", fix=f"Choose from: {', '.join(ROUTES)}.")
    if len(names) > 1:
        raise ConfigError(
            f"{route!r} is more than one route here", fix=f"Choose one of: {', '.join(names)}."
        )
    return chosen
