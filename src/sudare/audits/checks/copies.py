"""Are private images inside, nearly or wholly? Every released image against a control group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sudare.attacks.near_copies import altered, matches, search
from sudare.audits.checks.base import Check, Measurement, Stack, Tested
from sudare.audits.checks.copies_config import CopiesCheckConfig
from sudare.audits.checks.nearest import SPACES, counted, found_in, padded
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import BoolArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.figures import Figure
from sudare.core.findings import Finding
from sudare.core.hashing import hash_json
from sudare.core.seeds import generator
from sudare.core.threats import ThreatModel
from sudare.metrics import clopper_pearson
from sudare.releases.kinds import Lesson

if TYPE_CHECKING:
    from sudare.releases.kinds import Release

__all__ = ["CopiesCheck", "chosen_items", "matched_pairs"]


class CopiesCheck(Check[CopiesCheckConfig]):
    """The nearest private image of each released one, held against images that were not used.

    A released image is a near copy of a member where it is less than half as far from it as from
    any image of the other half, in pixels (under flips, shifts, light and contrast) or in
    features. The same rule with the halves exchanged gives phantoms: what chance makes of it.
    """

    figures = (
        Figure(
            id="copies.near",
            name="Released images that are a private one but for what nobody would see",
            short="Near copies",
            meaning=(
                "The share of released images that are less than half as far from a private image "
                "of their build as from any that was not used, whatever the flip, shift, light or "
                "contrast."
            ),
            format="percent",
            worse="higher",
            edition="public",
            exact=True,
        ),
        Figure(
            id="copies.phantoms",
            name="Released images that are as near to one that was not used (control)",
            short="Phantoms",
            meaning="The same rule against images that were not used: what chance explains.",
            format="percent",
            edition="public",
            exact=True,
        ),
        Figure(
            id="copies.excess",
            name="Near copies beyond what phantoms explain",
            short="Copies beyond chance",
            meaning=(
                "Near copies less phantoms, as a share of the released images. Where nothing is "
                "copied a match is as likely to be one as the other."
            ),
            format="percent",
            chance=0.0,
            worse="higher",
            edition="public",
        ),
        Figure(
            id="copies.power",
            name="Altered private images that the search finds (control)",
            short="What the search finds",
            meaning=(
                "Private images that were flipped, moved by a pixel, dimmed and noised, and that "
                "the search takes for what they are. If it is low, finding no copy says nothing."
            ),
            format="percent",
            edition="public",
        ),
    )

    def not_for(self, kind: type[Release]) -> str:
        """Only what holds images can hold private ones."""
        return "" if kind.holds_images else "it holds no images"

    def measure(self, tested: Tested) -> Measurement:
        """Neighbours of released images, and of private ones that were altered."""
        lesson, pool = tested.release.lesson(), tested.pool
        if not isinstance(lesson, Lesson):
            raise TypeError("a release that holds images must give a lesson")
        chosen = chosen_items(len(lesson.images), self.config.items)
        items = lesson.images[chosen]
        arrays = padded(search(items, pool.images), "near", self.config.items)
        rng = generator(0, "copies", "planted")
        source = np.sort(rng.permutation(len(pool))[: self.config.planted])
        planted = altered(np.array(pool.images[source]), rng)
        arrays |= padded(search(planted, pool.images), "planted", self.config.planted)
        arrays["source"] = np.concatenate(
            [source, np.full(self.config.planted - len(source), -1)]
        ).astype(np.int64)
        arrays["items"] = np.array(len(items))
        return Measurement(arrays=arrays)

    def judge(self, stack: Stack, maker: FindingMaker) -> list[Finding]:
        """Copies and phantoms of every build, counted once a unit, and the power of the search."""
        arrays = stack.arrays
        found = counted(arrays, stack.membership, stack.units, total=int(arrays["items"].sum()))
        settings = hash_json(self.config.model_dump(mode="json", exclude={"builds"}))
        named = {
            "near": found.near,
            "phantoms": found.phantom,
            "excess": found.excess,
            "power": self._power(stack),
        }
        return [
            maker.finding(
                f"copies.{name}",
                estimate,
                threat=ThreatModel.SAMPLES_SET,
                attack_hash=settings,
            )
            for name, estimate in named.items()
        ]

    def _power(self, stack: Stack) -> Estimate:
        arrays, hits = stack.arrays, []
        for build, members in enumerate(stack.membership):
            source = arrays["source"][build]
            there = source >= 0
            caught = np.zeros(len(source), dtype=bool)
            for space in SPACES:
                found = found_in(arrays, "planted", space, build)
                for side in (members, ~members):
                    copied, _, _ = matches(found, side)
                    own = found.columns[:, 0] == source
                    caught |= copied & own & side[np.maximum(source, 0)]
            hits.append(caught[there])
        # The same images in every build: builds are no further draws of them.
        share = np.mean(hits, axis=0)
        return clopper_pearson(round(float(share.sum())), len(share))


def chosen_items(count: int, most: int) -> IntArray:
    """Which of so many released images are searched for, the same at every call."""
    order: IntArray = generator(0, "copies", "items").permutation(count)[:most]
    return np.sort(order)


def matched_pairs(
    arrays: Mapping[str, npt.NDArray[Any]], build: int, members: BoolArray
) -> list[tuple[int, int, int, float]]:
    """Released items with their nearest member and other image in pixels, the nearest first.

    Returns:
        Item, column of the member, column of the other image, and the ratio of their distances.
    """
    found = found_in(arrays, "near", "pixels", build)
    _, _, ratio = matches(found, members)
    pairs = []
    for item in np.argsort(ratio, kind="stable"):
        columns = found.columns[item]
        columns = columns[columns >= 0]
        inside, outside = columns[members[columns]], columns[~members[columns]]
        if len(inside) and len(outside):
            pairs.append((int(item), int(inside[0]), int(outside[0]), float(ratio[item])))
    return pairs
