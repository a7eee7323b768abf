"""Collections on disk as plain arrays, so that workers map them instead of copying them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sudare.core.errors import DataError
from sudare.core.files import atomic_directory
from sudare.data.images import ImageDataset

__all__ = ["load_images", "save_images"]


def save_images(data: ImageDataset, folder: Path) -> None:
    """Write pixels, labels and units to a new folder; nothing if it exists."""
    if folder.exists():
        return
    with atomic_directory(folder) as draft:
        np.save(draft / "images.npy", data.images)
        np.save(draft / "labels.npy", data.labels)
        np.save(draft / "unit.npy", data.unit)
        if data.groups is not None:
            np.save(draft / "groups.npy", data.groups)
        meta = {
            "class_names": list(data.class_names),
            "group_names": list(data.group_names),
            "name": data.name,
            "licence": data.licence,
            "source": data.source,
        }
        (draft / "meta.json").write_text(json.dumps(meta))


def load_images(folder: Path) -> ImageDataset:
    """Read such a folder; pixels are memory-mapped.

    Raises:
        DataError: A missing or unreadable file.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text())
        groups = folder / "groups.npy"
        return ImageDataset(
            images=np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False),
            labels=np.load(folder / "labels.npy", allow_pickle=False),
            unit=np.load(folder / "unit.npy", allow_pickle=False),
            groups=np.load(groups, allow_pickle=False) if groups.exists() else None,
            class_names=tuple(meta["class_names"]),
            group_names=tuple(meta["group_names"]),
            name=meta["name"],
            licence=meta["licence"],
            source=meta["source"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"the stored collection cannot be read: {error}", where=str(folder)
        ) from error
