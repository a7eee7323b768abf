"""Released images beside what they are nearest to, on the internal page only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sudare.core.runs import ClosePair
from sudare.core.wording import say
from sudare.report.blocks import Block, Folded, Heading, Paragraph, Pictures, ShownImage
from sudare.report.load import Run
from sudare.report.pictures import LARGEST_PX, embedded
from sudare.report.sections.base import Section


def sections(run: Run) -> Sequence[Section]:
    """Pairs of each release; none where no release holds images."""
    shown: list[Block] = []
    for gallery in pair_galleries(run):
        images = [
            ShownImage(
                source=source,
                caption=say(
                    "pair_distances",
                    member=f"{pair.to_member:.2f}",
                    other=f"{pair.to_other:.2f}",
                ),
                alt=say("pair_alt"),
            )
            for source, pair in gallery.pairs
        ]
        shown += [Heading(gallery.release), Pictures(images, size="wide")]
    if not shown:
        return []
    blocks = [Paragraph(say("p_pairs")), Folded(say("shown_more"), shown)]
    return [Section(name="pairs", title=say("h_pairs"), blocks=blocks)]


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
            pairs = [(embedded(run, pair.picture, 4 * LARGEST_PX), pair) for pair in mine]
            found.append(PairGallery(release=run.label(name), pairs=pairs))
    return found
