"""Collections of images in the cache, by their content, for workers to map."""

from __future__ import annotations

import shutil
from pathlib import Path

from sudare.core.errors import SudareError
from sudare.data.images import ImageDataset
from sudare.data.storage import load_images, save_images
from sudare.fleets.cache import Cache


def store(data: ImageDataset, cache: Cache) -> str:
    """Put a collection into the cache, unless it is there and sound.

    Returns:
        Its content hash, under which ``collection`` finds it.
    """
    folder = _folder(cache, data.content_hash)
    looked = not cache.first_look(data.content_hash) or not folder.is_dir()
    if not looked and not _same_content(folder, data.content_hash):
        shutil.rmtree(folder)
    save_images(data, folder)
    return data.content_hash


def collection(content_hash: str, cache: Cache) -> ImageDataset:
    """The collection of a content hash; its pixels are memory-mapped."""
    return load_images(_folder(cache, content_hash))


def _folder(cache: Cache, content_hash: str) -> Path:
    return cache.root / "data" / content_hash


def _same_content(folder: Path, content_hash: str) -> bool:
    """Whether what lies in a folder is what its name says."""
    try:
        return load_images(folder).content_hash == content_hash
    except (OSError, ValueError, KeyError, SudareError):
        return False
