"""A cache addressed by content: an entry is whole or absent, and never stale."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from sudare.core.errors import CacheError
from sudare.core.files import is_sealed, sweep_drafts
from sudare.core.hashing import Json, hash_json
from sudare.core.progress import Progress
from sudare.fleets.code_hash import fingerprint


class Cache:
    """Entries as folders under a root.

    Args:
        root: Folder; its owner alone may open it, since entries are private.

    Raises:
        CacheError: The folder cannot be written, or is another user's.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._sound: set[str] = set()
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise CacheError(f"the cache cannot be made: {error}", where=str(root)) from error
        about = root.stat()
        if about.st_uid != os.geteuid() != 0:
            raise CacheError(
                "the cache belongs to another user, who could read and exchange what is in it",
                where=str(root),
                fix="Set SUDARE_CACHE to a folder of yours.",
            )
        if about.st_mode & 0o077:
            root.chmod(0o700)
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

    def first_look(self, key: str) -> bool:
        """Whether nobody asked this of the key before; what was looked at once is not again."""
        first = key not in self._sound
        self._sound.add(key)
        return first

    def complete(self, keys: Iterable[str], progress: Progress) -> bool:
        """Whether every entry is there as it was written; each is looked at, damaged ones go."""
        return all(tuple(self.sound(key, progress) for key in keys))

    def sound(self, key: str, progress: Progress) -> bool:
        """Whether the entry is there as it was written; a damaged one is dropped, and said.

        Args:
            key: Key of the entry.
            progress: Where to say it.
        """
        if key in self._sound:
            return self.has(key)
        path = self.path(key)
        if not path.is_dir():
            return False
        if not is_sealed(path):
            progress.say(f"Note: a damaged cache entry is dropped and made again ({path}).")
            shutil.rmtree(path)
            return False
        self._sound.add(key)
        return True


def entry_key(values: Mapping[str, Json], *, roots: Iterable[str]) -> str:
    """The key of an entry: everything its content depends on.

    Args:
        values: Resolved configuration, content hashes, seed, device type, threads.
        roots: Modules whose code the work runs; what they import counts, and in which version.
    """
    return hash_json({**values, "code": fingerprint(tuple(sorted(set(roots))))})
