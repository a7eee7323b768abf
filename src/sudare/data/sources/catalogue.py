"""What is known about each named source: what it shows, its licence, its files and its loader."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sudare.data.sources.download import Remote

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Names of the four files of the MNIST format, without ``.gz``."""


class Entry(BaseModel):
    """A named source: a table of ``catalogue.toml``.

    Attributes:
        what: What the images show, how many and how large.
        licence: Licence in words.
        source: Attribution in words.
        loader: ``module:function`` that reads it.
        remotes: Official files; empty if it comes with Sudare or its dependencies.
        class_names: One name per class; empty if the files say them.
        system: A folder where a system package puts the files, or None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    licence: str
    source: str
    loader: str
    remotes: tuple[Remote, ...] = ()
    class_names: tuple[str, ...] = ()
    system: Path | None = None


def _catalogue() -> dict[str, Entry]:
    text = (resources.files(__package__) / "catalogue.toml").read_text(encoding="utf-8")
    return {name: Entry.model_validate(values) for name, values in tomllib.loads(text).items()}


CATALOGUE: Mapping[str, Entry] = _catalogue()
"""Every source that comes with Sudare, by name."""
