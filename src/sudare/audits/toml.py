"""Writes a resolved configuration as TOML, the form it can be read back in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["to_toml"]


def to_toml(values: Mapping[str, Any]) -> str:
    """TOML text of nested tables, lists of tables and plain values; None is left out.

    >>> print(to_toml({"seed": 1, "data": {"source": "digits", "size": None}}))
    seed = 1
    <BLANKLINE>
    [data]
    source = "digits"
    <BLANKLINE>
    """
    return "\n".join(_table(values, ())) + "\n"


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines, tables = [], []
    for name, value in values.items():
        if isinstance(value, Mapping):
            tables += ["", f"[{'.'.join((*path, _key(name)))}]"]
            tables += _table(value, (*path, _key(name)))
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
            for item in value:
                tables += ["", f"[[{'.'.join((*path, _key(name)))}]]"]
                tables += _table(item, (*path, _key(name)))
        elif value is not None:
            lines.append(f"{_key(name)} = {_value(value)}")
    return lines + tables


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "").isalnum() and name.isascii()
    return name if plain else json.dumps(name)


def _value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)
