"""Collections on disk as plain arrays, so that workers map them instead of copying them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sudare.core.arrays import IntArray
from sudare.core.errors import DataError
from sudare.core.files import atomic_directory
from sudare.data.images import ImageDataset


def save_images(data: ImageDataset, folder: Path) -> None:
    """Write all columns and names to a new folder; nothing if it exists."""
    if folder.exists():
        return
    with atomic_directory(folder) as draft:
        np.save(draft / "images.npy", data.images)
        np.save(draft / "labels.npy", data.labels)
        np.save(draft / "unit.npy", data.unit)
        optional = {"groups": data.groups, "silo": data.silo}
        for name, values in optional.items():
            if values is not None:
                np.save(draft / f"{name}.npy", values)
        for index, values in enumerate(data.attributes.values()):
            np.save(draft / f"attribute-{index}.npy", values)
        meta = {
            "attributes": list(data.attributes),
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

        def column(name: str) -> IntArray | None:
            path = folder / f"{name}.npy"
            return np.load(path, allow_pickle=False) if path.exists() else None

        return ImageDataset(
            images=np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False),
            labels=np.load(folder / "labels.npy", allow_pickle=False),
            unit=np.load(folder / "unit.npy", allow_pickle=False),
            groups=column("groups"),
            silo=column("silo"),
            attributes={
                name: np.load(folder / f"attribute-{index}.npy", allow_pickle=False)
                for index, name in enumerate(meta["attributes"])
            },
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
