"""Tables of dotted names: what exists is known without importing it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from sudare.core.errors import ConfigError
from sudare.core.validation import config_error

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load(target: str) -> object:
    """Import and return what a ``module:attribute`` names."""
    module, _, attribute = target.partition(":")
    loaded: object = getattr(importlib.import_module(module), attribute)
    return loaded


class Registry(Mapping[str, str]):
    """A read-only table from a name to a ``module:attribute``.

    Args:
        kind: What the entries are, in the singular, for error messages.
        entries: Name to dotted target.
        group: Entry-point group from which other packages add rows, or empty. A row of ours
            is never replaced.
    """

    def __init__(self, kind: str, entries: Mapping[str, str], *, group: str = "") -> None:
        self.kind, self.group = kind, group
        self._own = dict(entries)

    @cached_property
    def _entries(self) -> dict[str, str]:
        added = entry_points(group=self.group) if self.group else ()
        return {point.name: point.value for point in added} | self._own

    def __getitem__(self, name: str) -> str:
        """The dotted target of a name."""
        try:
            return self._entries[name]
        except KeyError:
            known = ", ".join(sorted(self._entries))
            raise ConfigError(
                f"there is no {self.kind} called {name!r}", fix=f"Choose one of: {known}."
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def load(self, name: str) -> object:
        """Import and return the object behind a name.

        Raises:
            ConfigError: No such name.
        """
        return load(self[name])

    def parse(self, values: object, base: type[ConfigT]) -> ConfigT:
        """The configuration that plain values with a ``kind`` describe.

        Args:
            values: A mapping from names to values, or a configuration already made.
            base: What the classes behind the names have in common.

        Raises:
            ConfigError: No table, no kind, an unknown one, or values that do not fit.
        """
        if isinstance(values, base):
            return values
        where = f"{self.kind}s"
        if not isinstance(values, Mapping):
            raise ConfigError(f"{values!r} is not a table", where=where, fix="Give it a kind.")
        kind = values.get("kind")
        if not isinstance(kind, str):
            known = ", ".join(sorted(self)) or "none is installed"
            raise ConfigError(f"a {self.kind} needs a kind", where=where, fix=f"One of: {known}.")
        model = cast("type[ConfigT]", self.load(kind))
        try:
            return model.model_validate(dict(values))
        except ValidationError as error:
            raise config_error(error, model, where=f"{where}.{kind}") from error
