"""The most exposed images, on the internal page only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sudare.core.runs import ExposedImage, Mode
from sudare.core.wording import listed, say
from sudare.report.blocks import Block, Folded, Heading, Paragraph, Pictures, ShownImage
from sudare.report.load import Run
from sudare.report.pictures import embedded
from sudare.report.sections.base import Section

_MOST_PER_RELEASE = 12
_COIN = 0.5


def sections(run: Run) -> Sequence[Section]:
    """Pictures of one release, those of the others folded; a sentence on the public page."""
    if run.summary.mode is not Mode.COMPARISON:
        return []
    title = say("h_exposed")
    return [Section(name="exposed", title=title, blocks=_blocks(run), place="figures")]


def _blocks(run: Run) -> list[Block]:
    if run.public:
        return [Paragraph(say("p_exposed_public"))]
    found = galleries(run)
    shown = [gallery for gallery in found if gallery.pictures]
    if not shown:
        return [Paragraph(say("empty_exposed"), "empty")]
    blocks: list[Block] = [Paragraph(say("p_exposed"))]
    if unexposed := [gallery.release for gallery in found if not gallery.pictures]:
        blocks.append(Paragraph(say("exposed_none", labels=listed(unexposed))))
    blocks += _gallery(shown[0])
    if rest := [block for gallery in shown[1:] for block in _gallery(gallery)]:
        blocks.append(Folded(say("exposed_more"), rest))
    return blocks


def _gallery(gallery: Gallery) -> list[Block]:
    images = [
        ShownImage(
            source=picture.source,
            caption=picture.image.class_name,
            alt=say("exposed_alt", name=picture.image.class_name),
        )
        for picture in gallery.pictures
    ]
    return [Heading(gallery.release), Pictures(images)]


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
