"""JSON from elsewhere: a name that stands twice is refused; readers differ in which counts."""

from __future__ import annotations

import json
from collections.abc import Sequence


def read_json(content: str | bytes) -> object:
    """The value of a JSON text.

    Raises:
        ValueError: It is none, has a name twice in one object, or a number that is none.
    """
    found: object = json.loads(content, object_pairs_hook=_once, parse_constant=_refuse)
    return found


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!a} stands twice in one object")
    return found


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no number")
