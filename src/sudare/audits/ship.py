"""One artefact to ship, and the key to audit it with."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from sudare.audits.config import RunConfig
from sudare.audits.parts import test_size
from sudare.audits.site import prepare_run
from sudare.core.arrays import BoolArray, ByteArray
from sudare.core.decisions import Outcome
from sudare.core.errors import ConfigError, DataError, ReleaseError, SudareError
from sudare.core.files import UNREADABLE, atomic_write, try_lock
from sudare.core.findings import Findings
from sudare.core.hashing import Json
from sudare.core.progress import Progress
from sudare.core.seeds import generator
from sudare.data.images import ImageDataset
from sudare.data.sources import Source, load_source
from sudare.fleets.builds import modules_of
from sudare.fleets.cache import entry_key
from sudare.releases.kinds import Release, TrainingSet
from sudare.releases.store import write_release
from sudare.routes.context import BuildContext, FolderStages
from sudare.routes.registry import make_route
from sudare.training.threads import threads_of_torch

WITHHELD = 0.2
_SEEDS = {"split": 31, "withheld": 63, "build": 63}
"""Seeds of a release, and how many bits each has."""


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """Where a release and its audit key were written.

    Attributes:
        release: The release the route is about.
        key: The key to audit it with, and the further ones.
        further: Other releases of the same build that are no baselines, by name.
        shows_private: Whether private images are among what it holds, to the pixel.
    """

    release: Path
    key: Path
    further: Mapping[str, Path] = field(default_factory=dict)
    shows_private: bool = False


_SAID = {
    Outcome.SHARE: "share",
    Outcome.CARE: "share with care",
    Outcome.REFUSE: "do not share",
    Outcome.UNKNOWN: "cannot tell",
}


def decided_in(run: Path, names: Sequence[str], *, despite: bool) -> str:
    """What a finished run decided on releases like this one, in words.

    Args:
        run: Folder of the run.
        names: The release's names; the first that the run audited counts.
        despite: Whether a release that is not to be shared is wanted all the same.

    Raises:
        ConfigError: No such run or release, or the run says not to share it.
    """
    try:
        found = Findings.model_validate_json((run / "findings.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(
            f"the run cannot be read: {type(error).__name__}",
            where=str(run),
            fix="Give the folder of a run that this version finished.",
        ) from error
    known = {decision.release: decision for decision in found.decisions}
    decision = next((known[name] for name in names if name in known), None)
    if decision is None:
        raise ConfigError(
            f"the run did not audit {names[0]!r}",
            where="--from",
            fix=f"It audited: {', '.join(known) or 'nothing'}.",
        )
    said = _SAID[decision.outcome]
    if decision.outcome is Outcome.REFUSE and not despite:
        raise ConfigError(
            f"the run says of {decision.release!r}: {said}",
            where="--from",
            fix="Choose another release, or --despite, which the card then says.",
        )
    return f"{said}, built despite it" if decision.outcome is Outcome.REFUSE else said


def make_artefact(
    config: RunConfig, folder: Path | None, *, progress: Progress, decision: str | None = None
) -> Artefact:
    """Build one release from all but a fifth of the units, and the key to audit it with.

    The key holds which units were withheld, the configuration and the seed of the split, never
    the seed of the build, which comes from the operating system. It lies beside the key while the
    build runs, so that a stopped one goes on at its last stage, and is removed with the stages
    when the release is written.

    Args:
        config: A run with one route; every image of the collection that is neither public
            nor population is used, whatever ``data.pool`` says.
        folder: Gets ``release/``; ``releases/NAME`` if None. The key goes to a folder of its own,
            called the same and ``-private``.
        progress: Where to report.
        decision: What a run decided on such releases, for the card; None where none was asked.

    Raises:
        ConfigError: None or several routes.
        DataError: Nothing is left after public, population and test.
        ReleaseError: The folder holds a release already, or another process is building it.
    """
    if len(config.routes) != 1:
        raise ConfigError(
            f"a release has one route, and {len(config.routes)} are configured", where="routes"
        )
    config = config.model_copy(update={"routes": (config.routes[0].without_baselines,)})
    folder = folder or Path("releases") / config.routes[0].name
    # Not beside the release: who sends a folder sends all that is in it.
    private = folder.with_name(f"{folder.name}-private")
    target, key = folder / "release", private / "audit-key.npz"
    # A route's first release is the one it is about; baselines are for comparison only.
    first, *others = config.routes[0].releases
    further = {
        planned.name: folder / f"release-{planned.name.removeprefix(f'{first.name}-')}"
        for planned in others
        if not planned.baseline
    }
    kept = _Unfinished(private / "unfinished")
    # What a stopped build wrote is written again; its first release comes last, so that where
    # that is, all is.
    with kept.alone(), threads_of_torch(config.fleet.threads):
        written = [target] if kept.folder.exists() else [target, key, *further.values()]
        if any(path.exists() for path in written):
            # Stopped between the last file and this, a finished release would keep its seeds.
            kept.forget()
            raise ReleaseError(
                "there is a release already", where=str(folder), fix="Choose another --out."
            )
        built = _built(config, kept, progress=progress)
        folder.mkdir(parents=True, exist_ok=True)
        # The key first: a release without its key could never be audited.
        key.touch(mode=0o600)
        about = {**built.about, "release": first.name}
        np.savez(key, member=built.member, about=np.array(json.dumps(about)))
        for name, place in {**further, first.name: target}.items():
            if place.exists():
                shutil.rmtree(place)
            write_release(_told(built.releases[name], decision), place)
        kept.forget()
    shows = _shows(built.releases[first.name], built.used)
    return Artefact(release=target, key=key, further=further, shows_private=shows)


def _told(release: Release, decision: str | None) -> Release:
    """The release with what a run decided on its card; audited as such it is not."""
    said = "not audited" if decision is None else f"not audited; a run of such releases: {decision}"
    settings = {**release.card.settings, "audit": said}
    return release.with_card(release.card.model_copy(update={"settings": settings}))


def _shows(release: Release, used: ByteArray) -> bool:
    """Whether an image it was built from is in it to the pixel; blank ones are nobody's."""
    training_set = release.training_set()
    if not isinstance(training_set, TrainingSet):
        return False
    held = {
        image.tobytes()
        for image in np.clip(np.rint(training_set.images), 0, 255).astype(np.uint8)
        if image.min() < image.max()
    }
    return any(image.tobytes() in held for image in used)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Built:
    """Releases of one build, whose images they know, and what an audit must know of the run."""

    releases: Mapping[str, Release]
    member: BoolArray
    about: dict[str, Json]
    used: ByteArray


def _built(config: RunConfig, kept: _Unfinished, *, progress: Progress) -> _Built:
    """All of a route's releases, built once from all but the withheld units."""
    source = load_source(config.data.source, image_size=config.data.image_size, progress=progress)
    config = _with_all(config, source)
    roots = {__name__, *modules_of(config.routes[0])}
    settings: dict[str, Json] = {
        "config": config.model_dump(mode="json"),
        "images": source.train.content_hash,
    }
    seeds = kept.seeds(entry_key(settings, roots=roots), progress)
    config = config.model_copy(update={"seed": seeds["split"]})
    try:
        run = prepare_run(config, progress=progress)
        split = run.split
        member = _withhold(split.pool, seeds["withheld"])
        context = BuildContext.of(
            split.public,
            seed=seeds["build"],
            leaves=True,
            device=run.device,
            progress=progress,
            stages=FolderStages(kept.folder / "stages"),
        )
        build = make_route(config.routes[0]).build(split.pool[member], context)
    except SudareError:
        # The same seeds would fail again.
        kept.forget()
        raise
    about: dict[str, Json] = {
        "config": config.model_dump(mode="json"),
        "pool": split.pool.content_hash,
    }
    return _Built(
        releases=build.releases, member=member, about=about, used=split.pool[member].images
    )


def _with_all(config: RunConfig, source: Source) -> RunConfig:
    """The configuration with a pool of all images that are not set aside."""
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
    return config.model_copy(update={"data": whole})


class _Unfinished:
    """What a build leaves until it is finished, so that a stopped one goes on at its last stage.

    Args:
        folder: For the seeds and the stages; for its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def seeds(self, key: str, progress: Progress) -> dict[str, int]:
        """The seeds of a build that was stopped here, or new ones from the operating system.

        Args:
            key: What they are for: settings, images and code.
            progress: Where to say that a build goes on, or begins anew.
        """
        path = self.folder / "seeds.json"
        if self.folder.exists():
            try:
                told = json.loads(path.read_text())
                found = {name: int(told["seeds"][name]) for name in _SEEDS}
            except UNREADABLE:
                found, told = {}, {}
            if found and told.get("key") == key:
                progress.say("A build of this release was stopped: it goes on at its last stage.")
                return found
            progress.say(
                "A build with other settings, images or code was stopped here: it is gone."
            )
            shutil.rmtree(self.folder)
        found = {name: secrets.randbits(bits) for name, bits in _SEEDS.items()}
        self.folder.mkdir(mode=0o700)
        atomic_write(path, json.dumps({"key": key, "seeds": found}))
        return found

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out: two builds in one folder would share seeds and stages.

        Raises:
            ReleaseError: Another process is building here.
        """
        around = self.folder.parent
        around.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(around, os.O_RDONLY)
        try:
            if not try_lock(handle):
                raise ReleaseError(
                    "another process is building this release",
                    where=str(around),
                    fix="Let it end, or choose another --out.",
                )
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    around.rmdir()  # Only if nothing is in it.
        finally:
            os.close(handle)

    def forget(self) -> None:
        """Remove the seeds and the stages."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _withhold(pool: ImageDataset, seed: int) -> BoolArray:
    """True for images whose unit is used; a fifth of the units is withheld."""
    names, of_image = np.unique(pool.unit, return_inverse=True)
    withheld = np.zeros(len(names), dtype=bool)
    rng = generator(seed, "withheld")
    withheld[rng.permutation(len(names))[: round(WITHHELD * len(names))]] = True
    used: BoolArray = ~withheld[of_image]
    return used
