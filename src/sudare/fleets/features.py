"""Features of the scored images, computed once a run and shared by builds and checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sudare.core.hashing import Json
from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.data.storage import load_images
from sudare.fleets.builds import make_deterministic, store
from sudare.fleets.cache import Cache, entry_key
from sudare.fleets.executors import Executor
from sudare.fleets.tasks import Task
from sudare.nets.extractors.base import make_extractor
from sudare.nets.extractors.config import ExtractorConfig
from sudare.nets.extractors.features import embed, write_page
from sudare.routes.config import RouteConfig

__all__ = ["BOOKS", "compute_features", "extractors_of", "run_page"]

BOOKS = "features"
"""Folder of the cache: one folder for each extractor's fingerprint, one page for each part."""

_PAGE = 512
"""Images a task: small enough to keep every worker busy."""


def compute_features(
    extractors: Sequence[ExtractorConfig],
    parts: Sequence[ImageDataset],
    *,
    cache: Cache,
    executor: Executor,
    device: str,
    threads: int,
    progress: Progress,
) -> None:
    """Compute what is not in the cache yet; nothing where no route works on features.

    Public weights only: nothing about the private images is shared between builds by this.

    Raises:
        ConfigError: An extractor that is not installed or not at hand.
    """
    for config in dict.fromkeys(extractors):
        # Made here first: what is wrong with it is said before any worker starts.
        fingerprint = make_extractor(config).fingerprint
        tasks = [
            _task(config, fingerprint, part, rows, cache, device, threads)
            for part in parts
            for rows in range(0, len(part), _PAGE)
        ]
        label = f"features of {config.label}"
        executor.run([(task,) for task in tasks], progress=progress, label=label)
        for task in tasks:
            _link(cache.path(task.key), cache.root / BOOKS / fingerprint / device)


def extractors_of(routes: Sequence[RouteConfig]) -> list[ExtractorConfig]:
    """The fixed nets whose features some routes' releases are about."""
    planned = (release for route in routes for release in route.releases)
    return [release.extractor for release in planned if release.extractor is not None]


def _task(
    config: ExtractorConfig,
    fingerprint: str,
    part: ImageDataset,
    first: int,
    cache: Cache,
    device: str,
    threads: int,
) -> Task:
    page = part[first : first + _PAGE]
    values: dict[str, Json] = {
        "work": "features",
        "fingerprint": fingerprint,
        "images": page.content_hash,
        "device": device,
        "threads": threads,
    }
    return Task(
        key=entry_key(values, roots=[__name__]),
        function=f"{__name__}:run_page",
        arguments={
            "extractor": config.model_dump(mode="json"),
            "images": str(store(part, cache)),
            "first": first,
            "device": device,
        },
    )


def run_page(folder: Path, arguments: Mapping[str, Json], progress: Progress) -> None:
    """Compute the features of one page. Runs in a worker."""
    device, first = str(arguments["device"]), int(str(arguments["first"]))
    make_deterministic(device)
    images = load_images(Path(str(arguments["images"]))).images[first : first + _PAGE]
    extractor = make_extractor(ExtractorConfig.model_validate(arguments["extractor"]))
    write_page(folder, images, embed(extractor, images, device=device, progress=progress))


def _link(entry: Path, book: Path) -> None:
    """Put a page into the book of its extractor."""
    book.mkdir(parents=True, exist_ok=True, mode=0o700)
    link = book / entry.name
    if not link.is_symlink():
        link.symlink_to(Path("..") / ".." / ".." / entry.parent.name / entry.name)
