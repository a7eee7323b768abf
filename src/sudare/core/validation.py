"""What pydantic refused, as one of our own errors: what, where, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from typing import get_args

from pydantic import BaseModel, ValidationError

from sudare.core.errors import ConfigError


def config_error(
    error: ValidationError, model: type[BaseModel], *, where: str = "", fix: str = ""
) -> ConfigError:
    """The first thing that does not fit.

    Args:
        error: Of validating values against the model.
        model: The model.
        where: What the place is under, such as ``routes.plain``.
        fix: What to do if no field is called nearly so.
    """
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    message = re.sub("value error, ", "", first["msg"], flags=re.IGNORECASE)
    meant = ""
    if first["type"] == "extra_forbidden":
        message = f"there is no field {place[-1]!r}"
        near = difflib.get_close_matches(place[-1], _fields(model, place[:-1]), n=1)
        under = [where, *place[:-1]] if where else place[:-1]
        meant = f"Did you mean {'.'.join([*under, *near])}?" if near else ""
    return ConfigError(
        message[:1].lower() + message[1:],
        where=".".join([where, *place] if where else place),
        fix=meant or fix,
    )


def _fields(model: type[BaseModel], place: list[str]) -> list[str]:
    """Names of the fields at a place inside a model."""
    owner: object = model
    for step in place:
        field = getattr(owner, "model_fields", {}).get(step)
        if field is None:
            return []
        owner = next(
            (
                each
                for each in (field.annotation, *get_args(field.annotation))
                if isinstance(each, type) and issubclass(each, BaseModel)
            ),
            None,
        )
    return list(getattr(owner, "model_fields", {}))
