"""The user's own images: ``folder/class/*.png|jpg``, with an optional ``metadata.csv``."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sudare.core.arrays import ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.data.images import ImageDataset
from sudare.data.sources.source import Request, Source, assemble

__all__ = ["folder"]

_ENDINGS = {".png", ".jpg", ".jpeg"}
_COLUMNS = ("unit", "group", "silo", "split")
MAX_PIXELS = 50_000_000
MIN_PER_CLASS = 4


def folder(request: Request) -> Source:
    """A folder with one sub-folder per class.

    ``metadata.csv`` has a column ``file`` (relative to the folder) and any of ``unit`` (patient,
    person, site), ``group``, ``silo``, ``split`` (train or test); further columns become
    attributes. Images are turned upright by their EXIF tag and resized to ``image_size``.

    Raises:
        DataError: What is wrong, with the file.
    """
    root = Path(request.name)
    classes, files = _listing(root)
    metadata = _metadata(root, {str(file.relative_to(root)) for file, _ in files})
    images = _read_all(files, request)
    labels = np.array([label for _, label in files], dtype=np.int64)
    source = assemble(
        {"all": (images, labels)},
        class_names=classes,
        name=root.name,
        licence="the owner's",
        source=f"folder {root.name}",
    )
    if not metadata:
        return source
    rows = [metadata.get(str(file.relative_to(root)), {}) for file, _ in files]
    data = _with_columns(source.train, rows, root)
    return _split(source, data, rows, root)


def _listing(root: Path) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    classes = sorted(
        path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if len(classes) < 2:
        raise DataError(
            f"there are {len(classes)} class folders",
            where=str(root),
            fix="Make one sub-folder of images for each class.",
        )
    files = []
    for label, name in enumerate(classes):
        found = sorted(
            path
            for path in (root / name).iterdir()
            if path.suffix.lower() in _ENDINGS and not path.name.startswith(".")
        )
        if len(found) < MIN_PER_CLASS:
            raise DataError(
                f"class {name!r} has {len(found)} images, fewer than {MIN_PER_CLASS}",
                where=str(root / name),
                fix="Add images or remove the folder.",
            )
        files += [(path, label) for path in found]
    return tuple(classes), files


def _read_all(files: list[tuple[Path, int]], request: Request) -> ByteArray:
    decoded = []
    with request.progress.stage(f"reading {len(files)} images", len(files)) as task:
        for path, _ in files:
            decoded.append(_read(path, request.image_size))
            task.advance()
    grey = all(image.grey for image in decoded)
    if not grey and any(image.grey for image in decoded):
        odd = next(path for (path, _), image in zip(files, decoded, strict=True) if image.grey)
        raise DataError(
            "grey and colour images are mixed",
            where=str(odd),
            fix="Convert all of them to one of the two.",
        )
    shapes = {image.pixels.shape[1:] for image in decoded}
    if len(shapes) > 1:
        first, other = sorted(shapes)[:2]
        raise DataError(
            f"images have different sizes, such as {first} and {other}",
            where=request.name,
            fix="Give --image-size, for example --image-size 32.",
        )
    return np.stack([image.pixels[:1] if grey else image.pixels for image in decoded])


@dataclass(frozen=True)
class _Decoded:
    pixels: ByteArray
    grey: bool


def _read(path: Path, size: int | None) -> _Decoded:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of a decompression bomb before it refuses one; we refuse at once.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise DataError(
                        f"the image has {opened.width} x {opened.height} pixels", where=str(path)
                    )
                upright = ImageOps.exif_transpose(opened)
                # Palettes and transparency may hold grey or colour: decide on what is seen.
                grey = upright.mode in ("1", "L", "LA", "I;16")
                picture = upright.convert("L" if grey else "RGB")
                if size is not None:
                    picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
                pixels = np.asarray(picture, dtype=np.uint8)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Warning) as error:
        raise DataError(
            f"the image cannot be read: {error}", where=str(path), fix="Repair or remove it."
        ) from error
    shaped = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
    return _Decoded(np.ascontiguousarray(shaped), grey)


def _metadata(root: Path, files: set[str]) -> dict[str, Mapping[str, str]]:
    path = root / "metadata.csv"
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as opened:
        rows = list(csv.DictReader(opened))
    if not rows or "file" not in rows[0]:
        raise DataError("metadata.csv has no column 'file'", where=str(path))
    named = {row["file"]: row for row in rows}
    if unknown := sorted(set(named) - files):
        raise DataError(f"{unknown[0]!r} is not an image of the folder", where=str(path))
    if absent := sorted(files - set(named)):
        raise DataError(f"{absent[0]!r} has no row", where=str(path))
    return dict(named)


def _with_columns(data: ImageDataset, rows: list[Mapping[str, str]], root: Path) -> ImageDataset:
    names = [name for name in rows[0] if name != "file"]
    columns = {name: _numbered([row[name] for row in rows]) for name in names}
    groups, group_names = columns.get("group", (None, ()))
    return replace(
        data,
        unit=_joined(data.unit, columns["unit"][0]) if "unit" in columns else data.unit,
        groups=groups,
        group_names=group_names,
        silo=columns["silo"][0] if "silo" in columns else None,
        attributes={name: columns[name][0] for name in names if name not in _COLUMNS},
    )


def _numbered(values: list[str]) -> tuple[IntArray, tuple[str, ...]]:
    names, numbers = np.unique(np.array(values), return_inverse=True)
    return numbers.astype(np.int64), tuple(str(name) for name in names)


def _joined(clusters: IntArray, units: IntArray) -> IntArray:
    """Units of which identical pictures make one: the same patient under two numbers."""
    from sudare.data.splits import merge_partitions

    return merge_partitions(units, clusters)


def _split(source: Source, data: ImageDataset, rows: list[Mapping[str, str]], root: Path) -> Source:
    if "split" not in rows[0]:
        return replace(source, train=data)
    splits = np.array([row["split"] for row in rows])
    if bad := sorted(set(splits) - {"train", "test"}):
        raise DataError(f"split {bad[0]!r} is neither train nor test", where=str(root))
    test = splits == "test"
    crossing = np.intersect1d(data.unit[test], data.unit[~test])
    if len(crossing):
        row = int(np.flatnonzero(data.unit == crossing[0])[0])
        raise DataError(
            f"the unit of {rows[row]['file']!r} is in both train and test",
            where=str(root / "metadata.csv"),
            fix="Give each patient, person or site to one split only.",
        )
    sizes = {"train": int((~test).sum()), "test": int(test.sum())}
    return replace(source, train=data[~test], test=data[test] if test.any() else None, splits=sizes)
