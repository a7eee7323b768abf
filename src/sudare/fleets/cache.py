"""A cache addressed by content: an entry is whole or absent, and never stale."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import sudare
from sudare.core.errors import CacheError
from sudare.core.files import sweep_drafts
from sudare.core.hashing import Json, hash_json, hash_sources

__all__ = ["BUILD_ROOMS", "Cache", "entry_key"]

BUILD_ROOMS = ("core", "metrics", "data", "nets", "accounting", "training", "releases", "routes")
"""Rooms whose sources a build can reach; a changed line in them makes another key."""


class Cache:
    """Entries as folders under a root.

    Args:
        root: Folder; created with access for its owner only, since entries are private.

    Raises:
        CacheError: The folder cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise CacheError(f"the cache cannot be made: {error}", where=str(root)) from error
        if not os.access(root, os.W_OK):
            raise CacheError(
                "the cache cannot be written",
                where=str(root),
                fix="Set SUDARE_CACHE to a folder of yours.",
            )
        for shelf in root.glob("??"):
            sweep_drafts(shelf)

    def path(self, key: str) -> Path:
        """Where the entry of a key lies or will lie."""
        return self.root / key[:2] / key

    def has(self, key: str) -> bool:
        """Whether the entry is there; it is whole if it is."""
        return self.path(key).is_dir()


def entry_key(values: Mapping[str, Json], *, rooms: tuple[str, ...]) -> str:
    """The key of an entry: everything its content depends on.

    Args:
        values: Resolved configuration, content hashes, seed, device type, threads, packing.
        rooms: Rooms whose sources the work can reach.
    """
    import torch

    environment = {"sources": _source_hash(rooms), "torch": torch.__version__}
    return hash_json({**values, **environment})


@cache
def _source_hash(rooms: tuple[str, ...]) -> str:
    return hash_sources(Path(sudare.__file__).parent, rooms)
