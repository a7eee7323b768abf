"""Writes a resolved configuration as TOML, the form it can be read back in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli_w


def to_toml(values: Mapping[str, Any]) -> str:
    """TOML text of nested tables, lists of tables and plain values; None is left out.

    >>> print(to_toml({"seed": 1, "data": {"source": "digits", "size": None}}))
    seed = 1
    <BLANKLINE>
    [data]
    source = "digits"
    <BLANKLINE>

    Raises:
        TypeError: None in a list, where leaving it out would move the others.
    """
    return tomli_w.dumps(_without_none(values))


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value)
        if isinstance(value, Mapping)
        else [_without_none(v) if isinstance(v, Mapping) else v for v in value]
        if isinstance(value, (list, tuple))
        else value
        for name, value in values.items()
        if value is not None
    }
