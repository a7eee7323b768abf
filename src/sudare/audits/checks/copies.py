"""Are private images inside, nearly or wholly? Every released image against a control group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sudare.attacks.near_copies import Neighbours, altered, matches, search
from sudare.audits.checks.base import Check, Measurement, Stack, Tested
from sudare.audits.checks.copies_config import CopiesCheckConfig
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import BoolArray, FloatArray, IntArray
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

_SPACES = ("pixels", "features")
_BEYOND_DOUBT = 0.25
"""Of the distance to any image that was not used: one such item is a copy, wherever it stands."""


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
        arrays = _padded(search(items, pool.images), "near", self.config.items)
        rng = generator(0, "copies", "planted")
        source = np.sort(rng.permutation(len(pool))[: self.config.planted])
        planted = altered(np.array(pool.images[source]), rng)
        arrays |= _padded(search(planted, pool.images), "planted", self.config.planted)
        arrays["source"] = np.concatenate(
            [source, np.full(self.config.planted - len(source), -1)]
        ).astype(np.int64)
        arrays["items"] = np.array(len(items))
        return Measurement(arrays=arrays)

    def judge(self, stack: Stack, maker: FindingMaker) -> list[Finding]:
        """Copies and phantoms of every build, counted once a unit, and the power of the search."""
        arrays, units = stack.arrays, stack.units
        total = int(arrays["items"].sum())
        copies = phantoms = sure = 0
        for build, members in enumerate(stack.membership):
            each = [_found(arrays, "near", space, build) for space in _SPACES]
            told = [matches(found, members) for found in each]
            copies += len(_units(each, [one[0] for one in told], members, units))
            phantoms += len(_units(each, [one[1] for one in told], ~members, units))
            sure += int(any((one[0] & (one[2] < _BEYOND_DOUBT)).any() for one in told))
        settings = hash_json(self.config.model_dump(mode="json", exclude={"builds"}))
        named = {
            "near": _counted(copies, total),
            "phantoms": _counted(phantoms, total),
            "excess": _excess(copies, phantoms, sure, total),
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
            for space in _SPACES:
                found = _found(arrays, "planted", space, build)
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
    found = _found(arrays, "near", "pixels", build)
    _, _, ratio = matches(found, members)
    pairs = []
    for item in np.argsort(ratio, kind="stable"):
        columns = found.columns[item]
        columns = columns[columns >= 0]
        inside, outside = columns[members[columns]], columns[~members[columns]]
        if len(inside) and len(outside):
            pairs.append((int(item), int(inside[0]), int(outside[0]), float(ratio[item])))
    return pairs


def _padded(found: Mapping[str, Neighbours], name: str, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Arrays of as many rows in every build, however many items it released."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for space, one in found.items():
        missing = ((0, rows - len(one.columns)), (0, 0))
        arrays[f"{name}_{space}_columns"] = np.pad(one.columns, missing, constant_values=-1)
        arrays[f"{name}_{space}_distances"] = np.pad(one.distances, missing, constant_values=np.inf)
    return arrays


def _found(arrays: Mapping[str, npt.NDArray[Any]], name: str, space: str, build: int) -> Neighbours:
    return Neighbours(
        columns=arrays[f"{name}_{space}_columns"][build],
        distances=arrays[f"{name}_{space}_distances"][build],
    )


def _units(
    found: list[Neighbours], marked: list[BoolArray], side: BoolArray, units: IntArray
) -> IntArray:
    """Units of the nearest images of marked items that are on a side, each once."""
    named = []
    for one, items in zip(found, marked, strict=True):
        columns = one.columns[items]
        first = np.argmax(side[columns] & (columns >= 0), axis=1)
        named.append(units[columns[np.arange(len(columns)), first]])
    distinct: IntArray = np.unique(np.concatenate(named))
    return distinct


def _counted(count: int, total: int) -> Estimate:
    share = count / max(total, 1)
    return Estimate(value=share, low=share, high=share, n=0, method="counted, a unit once a build")


def _excess(copies: int, phantoms: int, sure: int, total: int) -> Estimate:
    """Copies less phantoms; without copying each match is one or the other by a fair coin."""
    method = "copies less phantoms, sign test"
    both = copies + phantoms
    value = (copies - phantoms) / max(total, 1)
    if both == 0:
        # None of so many: what a rate could be that gives none.
        high = 1 - 0.05 ** (1 / max(total, 1))
        return Estimate(value=0.0, low=0.0, high=high, n=0, method=method)
    # One-sided at 5 %: it is asked whether there are more copies than phantoms.
    ends: FloatArray = np.array(
        [
            (2 * (end or 0.0) - 1) * both / max(total, 1)
            for end in (
                clopper_pearson(copies, both, level=0.9).low,
                clopper_pearson(copies, both, level=0.9).high,
            )
        ]
    )
    low, high = float(min(ends[0], value)), float(max(ends[1], value))
    if sure and not phantoms:
        low = max(low, sure / max(total, 1))
    return Estimate(value=value, low=low, high=max(high, low), n=0, method=method, level=0.9)
