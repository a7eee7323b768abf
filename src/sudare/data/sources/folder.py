"""The user's own images: ``folder/class/*.png|jpg|jpeg``, with an optional ``metadata.csv``."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sudare.core.archives import LARGEST_BYTES
from sudare.core.arrays import ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.data.duplicates import exact_clusters
from sudare.data.images import ImageDataset
from sudare.data.sources.metadata import Metadata, natural, read_metadata
from sudare.data.sources.pixels import Header, read_header, read_pixels
from sudare.data.sources.source import TEST, Request, Source, divided

MIN_PER_CLASS = 4
_NAMED = 10
_ENDINGS = (".png", ".jpg", ".jpeg")
_OTHER_IMAGES = (".tif", ".tiff", ".webp", ".bmp", ".gif", ".heic", ".jp2", ".svs", ".nii", ".ppm")
_LITTER = (
    "thumbs.db",
    "desktop.ini",
    "icon\r",
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "lost+found",
    "system volume information",
)
_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Folders that hold class folders of their own, and the split they stand for."""


@dataclass(frozen=True)
class _Listing:
    root: Path
    class_names: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: IntArray
    splits: tuple[str, ...] = ()


def folder(request: Request) -> Source:
    """A folder with one sub-folder of images per class.

    ``metadata.csv`` has a column ``file`` (relative to the folder) and any of ``unit`` (patient,
    person, site), ``group``, ``silo`` and ``split`` (train, val or test); further columns become
    attributes. Without ``unit``, exact duplicates are one unit. Images are turned upright by their
    EXIF tag, and cut to the largest centred square and resized if ``image_size`` is given.

    Raises:
        DataError: What is wrong, with the file.
    """
    listing = _list(Path(request.name).expanduser())
    names = [path.relative_to(listing.root).as_posix() for path in listing.paths]
    metadata = read_metadata(listing.root, names)
    if listing.splits and "split" not in metadata.columns:
        columns = metadata.columns | {"split": listing.splits}
        metadata = replace(metadata, columns=columns)
    metadata.check_units()
    data = _with_columns(_read(listing, request), metadata)
    splits = np.array(metadata.splits())
    order = np.argsort(splits == TEST, kind="stable")
    sizes = {
        str(split): int((splits == split).sum())
        for split in sorted(np.unique(splits), key=lambda split: (split == TEST, split))
    }
    whole = divided(data if (np.diff(order) == 1).all() else data[order], sizes)
    units = metadata.numbered("unit")
    names_of_units = () if units is None else units[1]
    return replace(whole, notes=metadata.notes(), unit_names=names_of_units)


def _list(root: Path) -> _Listing:
    classes = _folders_of(root)
    if classes and {path.name.lower() for path in classes} <= set(_PARTS) and _in_parts(classes):
        return _list_parts(root, classes)
    if not classes:
        raise DataError(
            "the folder has no class folders",
            where=str(root),
            fix="Make one sub-folder of images for each class.",
        )
    if dead := [p for p in root.iterdir() if p.is_symlink() and not p.exists()]:
        raise DataError(
            f"{dead[0].name!r} is a link to nowhere", where=str(root), fix="Mend or remove it."
        )
    if beside := sorted(p.name for p in root.iterdir() if p.suffix.lower() in _ENDINGS):
        # Passing over them would quietly shrink the collection.
        raise DataError(
            f"{len(beside)} images lie beside the class folders, such as {beside[0]!r}",
            where=str(root),
            fix="Put each into the folder of its class, or elsewhere.",
        )
    paths: list[Path] = []
    labels: list[int] = []
    for label, folder_of_class in enumerate(classes):
        found = _images_of(folder_of_class)
        paths += found
        labels += [label] * len(found)
    names = tuple(map(_name, classes))
    return _Listing(root, names, tuple(paths), np.array(labels, dtype=np.int64))


def _name(folder_of_class: Path) -> str:
    """A class's name as it is written: macOS stores an umlaut as two characters."""
    return unicodedata.normalize("NFC", folder_of_class.name)


def _folders_of(root: Path) -> list[Path]:
    """Folders in natural order: a model's class 10 comes after its class 9."""
    found = [path for path in root.iterdir() if path.is_dir() and not _hidden(path)]
    return sorted(found, key=lambda path: natural(path.name))


def _in_parts(parts: Sequence[Path]) -> bool:
    """Whether folders called train and test hold folders and no images of their own."""
    kinds = {_PARTS[path.name.lower()] for path in parts}
    return "train" in kinds and len(kinds) == len(parts) and all(_folders_of(p) for p in parts)


def _list_parts(root: Path, parts: Sequence[Path]) -> _Listing:
    """The layout train/CLASS, val/CLASS, test/CLASS; the classes are those of all parts."""
    names = sorted({_name(path) for part in parts for path in _folders_of(part)}, key=natural)
    paths: list[Path] = []
    labels: list[int] = []
    splits: list[str] = []
    for part in parts:
        for folder_of_class in _folders_of(part):
            found = _images_of(folder_of_class)
            paths += found
            labels += [names.index(_name(folder_of_class))] * len(found)
            splits += [_PARTS[part.name.lower()]] * len(found)
    return _Listing(root, (*names,), tuple(paths), np.array(labels, dtype=np.int64), (*splits,))


def _images_of(folder_of_class: Path) -> list[Path]:
    files = sorted(path for path in folder_of_class.iterdir() if not _hidden(path))
    for path in files:
        # Passing over what cannot be read would quietly shrink the collection.
        if path.is_dir() or path.suffix.lower() not in _ENDINGS:
            raise DataError(
                "a folder inside a class" if path.is_dir() else f"{path.name} is not PNG or JPEG",
                where=str(path),
                fix=_cure(path),
            )
    if len(files) < MIN_PER_CLASS:
        raise DataError(
            f"class {folder_of_class.name!r} has {len(files)} images, fewer than {MIN_PER_CLASS}",
            where=str(folder_of_class),
            fix="Add images, or remove the folder.",
        )
    return files


def _cure(path: Path) -> str:
    """What to do about something that is no image, by what it seems to be."""
    ending = path.suffix.lower()
    if ending in (".dcm", ".dicom", ".ima"):
        return "Write DICOM as 8-bit PNG first (window and level chosen), for example with dcm2img."
    if ending in _OTHER_IMAGES:
        return "Write it as PNG, for example with `magick mogrify -format png`."
    if ending in (".json", ".csv", ".txt", ".xlsx", ".xml", ".yaml", ".yml"):
        return "Put tables beside the class folders; patients or sites go into metadata.csv there."
    return (
        "Put PNG or JPEG files directly into the class folder; name patients or sites in "
        "metadata.csv."
    )


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _LITTER


def _read(listing: _Listing, request: Request) -> ImageDataset:
    size, progress = request.image_size, request.progress
    headers = []
    with progress.stage(f"look at {len(listing.paths):,} images", len(listing.paths)) as task:
        broken: list[DataError] = []
        for path in listing.paths:
            try:
                headers.append(read_header(path))
            except DataError as error:
                broken.append(error)
            task.advance()
        _refuse(broken)
    # Grey by content, if any image is stored in grey: a mixture is then refused where it shows.
    grey = any(header.grey for header in headers)
    images = _room(headers, listing.paths, grey=grey, size=size)
    with progress.stage(f"read {len(listing.paths):,} images", len(listing.paths)) as task:
        for row, path in enumerate(listing.paths):
            try:
                images[row] = read_pixels(path, grey=grey, size=size)
            except DataError as error:
                broken.append(error)
            task.advance()
        _refuse(broken)
    return ImageDataset(
        images=images,
        labels=listing.labels,
        class_names=listing.class_names,
        unit=exact_clusters(images),
        name=listing.root.resolve().name,
        licence="not stated",
        source="the owner's own folder",
    )


def _refuse(broken: Sequence[DataError]) -> None:
    """Name all images that cannot be read, so that it takes one run and not one for each.

    Raises:
        DataError: There are any.
    """
    if len(broken) == 1:
        raise broken[0]
    if broken:
        named = ", ".join(error.where for error in broken[:_NAMED])
        more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        raise DataError(
            f"{len(broken)} images cannot be read; the first: {broken[0].what}",
            where=f"{named}{more}",
            fix="Repair or remove them.",
        )


def _room(
    headers: Sequence[Header], paths: Sequence[Path], *, grey: bool, size: int | None
) -> ByteArray:
    """An empty array for all images, refused if they differ in size or do not fit."""
    first = headers[0]
    for header, path in zip(headers, paths, strict=True):
        same = (header.width, header.height) == (first.width, first.height)
        if size is None and not same:
            raise DataError(
                f"the image is {header.width} x {header.height} pixels, others are "
                f"{first.width} x {first.height}",
                where=str(path),
                fix="Resize all, for example to 32: --image-size 32, or "
                "--set data.image_size=32 in compare and release.",
            )
    height, width = (first.height, first.width) if size is None else (size, size)
    shape = (len(headers), 1 if grey else 3, height, width)
    if (total := int(np.prod(shape, dtype=np.int64))) > LARGEST_BYTES:
        raise DataError(
            f"the images unpack to {total / 2**30:.0f} GiB",
            where=str(paths[0].parent.parent),
            fix="Choose a smaller image size.",
        )
    return np.empty(shape, dtype=np.uint8)


def _with_columns(data: ImageDataset, metadata: Metadata) -> ImageDataset:
    unit, group = metadata.numbered("unit"), metadata.numbered("group")
    silo = metadata.numbered("silo")
    return replace(
        data,
        unit=data.unit if unit is None else unit[0],
        groups=None if group is None else group[0],
        group_names=() if group is None else group[1],
        silo=None if silo is None else silo[0],
        silo_names=() if silo is None else silo[1],
        attributes=metadata.attributes(),
    )
