"""Features of the scored images, computed once a run and shared by builds and checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sudare.core.progress import Progress
from sudare.data.images import ImageDataset
from sudare.fleets.builds import FEATURES, make_deterministic
from sudare.fleets.cache import Cache
from sudare.fleets.collections import collection, store
from sudare.fleets.executors import Executor
from sudare.fleets.jobs import Job
from sudare.nets.extractors.config import ExtractorConfig
from sudare.nets.extractors.features import embed, write_shard
from sudare.nets.extractors.make import make_extractor
from sudare.routes.config import RouteConfig

_PAGE = 512
"""Images a job: small enough to keep every worker busy."""


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
        jobs = [
            FeaturesJob(
                extractor=config,
                fingerprint=fingerprint,
                images=store(part, cache),
                first=first,
                device=device,
                threads=threads,
            )
            for part in parts
            for first in range(0, len(part), _PAGE)
        ]
        label = f"features of {config.label}"
        executor.run([(job,) for job in jobs], progress=progress, label=label)
        for job in jobs:
            _link(cache.path(job.key), cache.root / FEATURES / fingerprint / device)


def extractors_of(routes: Sequence[RouteConfig]) -> list[ExtractorConfig]:
    """The fixed nets whose features some routes' releases are about."""
    planned = (release for route in routes for release in route.releases)
    return [release.extractor for release in planned if release.extractor is not None]


class FeaturesJob(Job):
    """Features of one page of a collection.

    Attributes:
        extractor: The net.
        fingerprint: Of its weights.
        images: Content of the collection.
        first: First image of the page.
        device: Where the net runs.
        threads: Threads of the worker.
    """

    extractor: ExtractorConfig
    fingerprint: str
    images: str
    first: int
    device: str
    threads: int

    def run(self, folder: Path, cache: Cache, progress: Progress) -> None:
        """Compute the features of the page."""
        make_deterministic(self.device)
        images = collection(self.images, cache).images[self.first : self.first + _PAGE]
        extractor = make_extractor(self.extractor)
        write_shard(folder, images, embed(extractor, images, device=self.device, progress=progress))


def _link(entry: Path, book: Path) -> None:
    """Put a page into the book of its extractor."""
    book.mkdir(parents=True, exist_ok=True, mode=0o700)
    link = book / entry.name
    if not link.is_symlink():
        link.symlink_to(Path("..") / ".." / ".." / entry.parent.name / entry.name)
