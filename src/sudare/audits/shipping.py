"""One artefact to ship, and the key to audit it with."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sudare.audits.compare import device_of, split_of, test_size
from sudare.audits.config import RunConfig
from sudare.core.arrays import BoolArray
from sudare.core.errors import ConfigError, DataError, ReleaseError
from sudare.core.progress import Progress
from sudare.core.seeds import generator
from sudare.data.images import ImageDataset
from sudare.data.sources import load_source
from sudare.releases.store import write_release
from sudare.routes.context import BuildContext
from sudare.routes.registry import make_route

__all__ = ["Artefact", "make_artefact"]

WITHHELD = 0.2


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """Where a release and its audit key were written.

    Attributes:
        release: The release the route is about.
        key: The key to audit it with, and the further ones.
        further: Other releases of the same build that are no baselines, by name.
    """

    release: Path
    key: Path
    further: Mapping[str, Path] = field(default_factory=dict)


def make_artefact(config: RunConfig, folder: Path | None, *, progress: Progress) -> Artefact:
    """Build one release from all but a fifth of the units, and the key to audit it with.

    The key holds which units were withheld, the configuration and the seed of the split, never
    the seed of the build, which comes from the operating system and is not kept.

    Args:
        config: A run with one route; every image of the collection that is neither public
            nor population is used, whatever ``data.pool`` says.
        folder: Gets ``release/``; ``releases/NAME`` if None. The key goes to a folder of its own,
            called the same and ``-private``.
        progress: Where to report.

    Raises:
        ConfigError: None or several routes.
        DataError: Nothing is left after public, population and test.
        ReleaseError: The folder holds a release already.
    """
    if len(config.routes) != 1:
        raise ConfigError(
            f"a release has one route, and {len(config.routes)} are configured", where="routes"
        )
    folder = folder or Path("releases") / config.routes[0].name
    # Not beside the release: who sends a folder sends all that is in it.
    private = folder.with_name(f"{folder.name}-private")
    target, key = folder / "release", private / "audit-key.npz"
    if target.exists() or key.exists():
        raise ReleaseError(
            "there is a release already", where=str(folder), fix="Choose another --out."
        )
    source = load_source(config.data.source, image_size=config.data.image_size, progress=progress)
    aside = config.data.public + config.data.population
    aside += test_size(config, source) if source.test is None else 0
    if config.data.fit and aside > len(source.train) // 2:
        # At least half of a small collection is what the release is made of.
        share = len(source.train) / 2 / aside
        parts = {"public": config.data.public, "population": config.data.population}
        if source.test is None:
            parts["test"] = test_size(config, source)
        smaller = {part: int(share * size) for part, size in parts.items()}
        config = config.model_copy(update={"data": config.data.model_copy(update=smaller)})
        aside = sum(smaller.values())
    if aside >= len(source.train):
        raise DataError(
            f"{aside} images are set aside and there are {len(source.train)}",
            where=config.data.source,
            fix="Lower data.population, data.public or data.test.",
        )
    whole = config.data.model_copy(update={"pool": len(source.train) - aside})
    config = config.model_copy(update={"data": whole, "seed": secrets.randbits(31)})
    _, split = split_of(config, progress=progress)
    member = _withhold(split.pool)
    context = BuildContext.of(split.public, seed=None, device=device_of(config), progress=progress)
    build = make_route(config.routes[0]).build(split.pool[member], context)
    # A route's first release is the one it is about; baselines are for comparison only.
    first, *others = config.routes[0].releases
    further = {
        planned.name: folder / f"release-{planned.name.removeprefix(f'{first.name}-')}"
        for planned in others
        if not planned.baseline
    }
    about = {
        "config": config.model_dump(mode="json"),
        "pool": split.pool.content_hash,
        "release": first.name,
    }
    folder.mkdir(parents=True, exist_ok=True)
    private.mkdir(mode=0o700, exist_ok=True)
    # The key first: a release without its key could never be audited.
    key.touch(mode=0o600)
    np.savez(key, member=member, about=np.array(json.dumps(about)))
    write_release(build.releases[first.name], target)
    for name, place in further.items():
        write_release(build.releases[name], place)
    return Artefact(release=target, key=key, further=further)


def _withhold(pool: ImageDataset) -> BoolArray:
    """True for images whose unit is used; a fifth of the units is withheld."""
    names, of_image = np.unique(pool.unit, return_inverse=True)
    withheld = np.zeros(len(names), dtype=bool)
    rng = generator(secrets.randbits(63), "withheld")
    withheld[rng.permutation(len(names))[: round(WITHHELD * len(names))]] = True
    used: BoolArray = ~withheld[of_image]
    return used
