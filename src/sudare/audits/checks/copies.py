"""Are private images inside, nearly or wholly? Every released image against a control group."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sudare.attacks.near_copies import altered, matches, search
from sudare.audits.checks.base import (
    BuildResults,
    Check,
    CheckInput,
    Judgement,
    Measurement,
    Pooled,
)
from sudare.audits.checks.copies_config import CopiesCheckConfig
from sudare.audits.checks.nearest import SPACES, counted, found_in, padded
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import BoolArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.figures import Figure
from sudare.core.findings import Finding
from sudare.core.hashing import hash_json
from sudare.core.seeds import generator
from sudare.core.threats import ThreatModel
from sudare.core.wording import say
from sudare.metrics import clopper_pearson
from sudare.releases.kinds import SetView, TrainingSet

if TYPE_CHECKING:
    from sudare.releases.kinds import Release


_PLANTED = "planted.npz"


class CopiesCheck(Check[CopiesCheckConfig]):
    """The nearest private image of each released one, held against images that were not used.

    A released image is a near copy of a member where it is less than half as far from it as from
    any image of the other half, in pixels (under flips, shifts, light and contrast) or in
    features. The same rule with the halves exchanged gives phantoms: what chance makes of it.
    """

    figures = (
        Figure(id="copies.near", format="percent", worse="higher", edition="public", exact=True),
        Figure(id="copies.phantoms", format="percent", edition="public", exact=True),
        Figure(id="copies.excess", format="percent", chance=0.0, worse="higher", edition="public"),
        Figure(id="copies.power", format="percent", edition="public"),
    )

    def not_for(self, kind: type[Release]) -> str:
        """Only what holds images can hold private ones."""
        return "" if kind.holds_images else "it holds no images"

    def measure(self, tested: CheckInput) -> Measurement:
        """Neighbours of released images, and which pool images are among them to the pixel."""
        training_set, pool = tested.release.training_set(), tested.pool
        if not isinstance(training_set, TrainingSet):
            raise TypeError("a release that holds images must give a training set")
        chosen = chosen_items(len(training_set.images), self.config.items)
        items = training_set.images[chosen]
        arrays = padded(search(items, pool.images), "near", self.config.items)
        if tested.pooled is None:
            raise TypeError("this check searches for altered images once")
        with np.load(tested.pooled / _PLANTED, allow_pickle=False) as planted:
            arrays |= {name: planted[name] for name in planted.files}
        arrays["items"] = np.array(len(items))
        arrays["exact"] = _exact(tested)
        return Measurement(arrays=arrays)

    def pools(self) -> bool:
        """Whether the search finds altered images is the same beside every build."""
        return True

    def prepare_pool(self, given: Pooled, folder: Path) -> None:
        """Neighbours of private images that were altered: what the search can find."""
        pool, most = given.pool, self.config.planted
        rng = generator(0, "copies", "planted")
        source = np.sort(rng.permutation(len(pool))[:most])
        planted = altered(np.array(pool.images[source]), rng)
        arrays: dict[str, Any] = padded(search(planted, pool.images), "planted", most)
        missing = np.full(most - len(source), -1)
        arrays["source"] = np.concatenate([source, missing]).astype(np.int64)
        np.savez(folder / _PLANTED, **arrays)

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
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
        findings = [
            maker.finding(
                f"copies.{name}",
                estimate,
                threat=ThreatModel.SAMPLES_SET,
                attack_hash=settings,
            )
            for name, estimate in named.items()
        ]
        return Judgement(findings=[*_counted_exactly(stack, maker), *findings])

    def _power(self, stack: BuildResults) -> Estimate:
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


def _exact(tested: CheckInput) -> BoolArray:
    """Which pool images are in the released set to the pixel, ``[n]``."""
    release, images = tested.release, tested.pool.images
    shown = release.expose(release.set_as) if release.set_as is not None else None
    if not isinstance(shown, SetView):
        return np.zeros(len(images), dtype=bool)
    released = {image.tobytes() for image in shown.pixels()}
    return np.array([image.tobytes() in released for image in images], dtype=bool)


def _counted_exactly(stack: BuildResults, maker: FindingContext) -> list[Finding]:
    """Members that are in the released set to the pixel, in any build: counted, not estimated."""
    exact, members = stack.arrays["exact"], stack.membership
    count = say("method.counted_one" if len(exact) == 1 else "method.counted", builds=len(exact))
    found = []
    for name, side in (("tpr", members), ("fpr", ~members)):
        share = float(((exact & side).sum(axis=1) / side.sum(axis=1)).mean())
        estimate = Estimate(value=share, low=share, high=share, n=0, method=count)
        found.append(
            maker.finding(f"membership.copies.{name}", estimate, threat=ThreatModel.SAMPLES_SET)
        )
    return found


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
