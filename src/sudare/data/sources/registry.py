"""Sources by name; a path is a folder of images, an ``.npz`` file, IDX files or an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from sudare.core.errors import ConfigError, DataError
from sudare.core.files import default_cache
from sudare.core.names import did_you_mean
from sudare.core.progress import Progress, Silent
from sudare.core.registry import Registry
from sudare.data.sources.catalogue import CATALOGUE, IDX_FILES

if TYPE_CHECKING:
    from sudare.data.sources.source import Loader, Source

_FORMATS = {
    "folder": "sudare.data.sources.folder:folder",
    "npz": "sudare.data.sources.npz:npz",
    "idx": "sudare.data.sources.idx:idx",
    "cifar": "sudare.data.sources.cifar:cifar",
}
SOURCES = Registry(
    "source",
    {name: entry.loader for name, entry in CATALOGUE.items()} | _FORMATS,
    group="sudare.sources",
)
"""Every named source, those of other packages too, and the formats of a path, to its loader."""

_HAS_FILES = ("fashion-mnist", "mnist", "cifar10", "cifar100")


def load_source(
    name_or_path: str,
    *,
    cache: Path | None = None,
    image_size: int | None = None,
    progress: Progress | None = None,
) -> Source:
    """Load a collection by name or path.

    Args:
        name_or_path: A name of the catalogue; ``NAME:PATH`` where the files of ``fashion-mnist``,
            ``mnist``, ``cifar10`` or ``cifar100`` lie elsewhere; or the path of a folder of
            images, a folder of IDX files, an ``.npz`` file or a CIFAR archive. A name wins over a
            path that is called the same; write ``./digits`` for the path.
        cache: Folder for builds and downloads; the default cache if None.
        image_size: Resize to squares of this side in pixels.
        progress: Where to report; nowhere if None.

    Raises:
        DataError: Files that are missing, corrupt or not what they should be.
        ConfigError: A name that is neither a source nor a path.
    """
    from sudare.data.sources.source import Request

    if image_size is not None and image_size < 1:
        raise ConfigError(f"an image size of {image_size} pixels is not possible")
    request = Request(
        name=name_or_path,
        cache=downloads(cache),
        image_size=image_size,
        progress=progress or Silent(),
    )
    loader = cast("Loader", SOURCES.load(_loader(name_or_path)))
    return loader(request)


def is_named(name_or_path: str) -> bool:
    """Whether this is a published collection and not the owner's own folder or file."""
    return _loader(name_or_path) not in _FORMATS


def named_sources() -> tuple[str, ...]:
    """Names of all sources, those of other packages too."""
    others = [name for name in SOURCES if name not in _FORMATS and name not in CATALOGUE]
    return (*CATALOGUE, *others)


def about(name: str) -> str:
    """What a source shows: from the catalogue, or as the loader of another package says it.

    Args:
        name: Of ``named_sources``.
    """
    if name in CATALOGUE:
        return CATALOGUE[name].what
    return (SOURCES.load(name).__doc__ or "of another package").partition("\n")[0]


def at_hand(name: str, *, cache: Path | None = None) -> bool:
    """Whether a source of the catalogue can be loaded without a download.

    Raises:
        DataError: An unknown source.
    """
    if name not in CATALOGUE:
        if name in named_sources():
            # Whoever reads it knows; nothing of ours fetches for it.
            return True
        raise DataError(
            f"there is no source called {name!r}", fix=f"Choose one of: {', '.join(CATALOGUE)}."
        )
    entry = CATALOGUE[name]
    if entry.system is not None and all((entry.system / f"{f}.gz").exists() for f in IDX_FILES):
        return True
    return all((downloads(cache) / remote.name).exists() for remote in entry.remotes)


def downloads(cache: Path | None) -> Path:
    """The folder that keeps downloads, under a cache or the default one."""
    return (cache or default_cache()) / "downloads"


def _loader(name: str) -> str:
    if name in SOURCES and name not in _FORMATS:
        return name
    head, _, rest = name.partition(":")
    if rest and head in _HAS_FILES:
        return head
    path = Path(name).expanduser()
    if path.is_dir():
        first = IDX_FILES[0]
        packed = (path / first).exists() or (path / f"{first}.gz").exists()
        return "idx" if packed else "folder"
    if path.is_file() and path.suffix == ".npz":
        return "npz"
    if path.is_file() and path.name.endswith((".tar.gz", ".tgz")):
        return "cifar"
    if path.exists():
        raise DataError(
            f"{path.name} is of no format that is read",
            where=str(path),
            fix="Give a folder with one sub-folder of images per class, or an .npz file.",
        )
    raise ConfigError(
        f"{name!r} is neither a source nor a path",
        fix=did_you_mean(
            name,
            named_sources(),
            otherwise=f"Give a folder, an .npz file, or one of: {', '.join(named_sources())}.",
        ),
    )
