"""The most exposed images as embedded PNGs, for the internal page only."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from sudare.core.runs import ClosePair, ExposedImage
from sudare.report.load import Run

_MOST_PER_RELEASE = 12
_MOST_PIXELS = 16_000_000
_LARGEST_PX = 160
_COIN = 0.5


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One exposed image, ready to embed.

    Attributes:
        source: A ``data:`` address, or empty where the file is missing.
        image: What the audit said about it.
    """

    source: str
    image: ExposedImage


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The exposed images of one release.

    Attributes:
        release: Its label.
        pictures: Worst first; none where the attack finds nothing.
    """

    release: str
    pictures: Sequence[Picture]


def galleries(run: Run) -> list[Gallery]:
    """Exposed images by release, worst first, at most twelve each."""
    found = []
    for name in run.releases:
        mine = [image for image in run.summary.exposed if image.release == name]
        mine.sort(key=lambda image: -image.score)
        if mine and not _finds(run, name):
            # Some image is always the most exposed one; here it would be an accident.
            found.append(Gallery(release=run.label(name), pictures=[]))
        elif mine:
            pictures = [
                Picture(source=embedded(run, image.picture), image=image)
                for image in mine[:_MOST_PER_RELEASE]
            ]
            found.append(Gallery(release=run.label(name), pictures=pictures))
    return found


def _finds(run: Run, release: str) -> bool:
    """Whether the primary attack does better than a coin flip on a release, with its interval."""
    found = run.leakage(release)
    return found is None or found.low is None or found.low > _COIN


@dataclass(frozen=True, kw_only=True)
class PairGallery:
    """Released images of one release beside what they are nearest to."""

    release: str
    pairs: Sequence[tuple[str, ClosePair]]


def pair_galleries(run: Run) -> list[PairGallery]:
    """Close pairs by release, closest first."""
    found = []
    for name in run.releases:
        mine = sorted(
            (pair for pair in run.summary.pairs if pair.release == name),
            key=lambda pair: pair.to_member,
        )
        if mine:
            pairs = [(embedded(run, pair.picture, 4 * _LARGEST_PX), pair) for pair in mine]
            found.append(PairGallery(release=run.label(name), pairs=pairs))
    return found


def embedded(run: Run, picture: str, largest: int = _LARGEST_PX) -> str:
    """The picture as a ``data:`` address; only files inside the run folder are read."""
    folder = run.folder.resolve()
    path = (folder / picture).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        return ""
    try:
        with Image.open(path, formats=["PNG"]) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return ""
            # Written anew: a file's own metadata may name a patient or a path.
            image = opened.convert("L" if opened.mode in {"1", "L", "I;16"} else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return ""
    image.thumbnail((largest, largest))
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
