"""Who is in which build: complementary pairs of random halves, by unit, stratified by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.seeds import generator

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


@dataclass(frozen=True, kw_only=True, eq=False)
class MembershipPlan:
    """The membership of n pool images in N builds.

    Attributes:
        membership: ``bool [N, n]``; row 2i is a random half, row 2i + 1 its complement.
        complement: ``int64 [N]``; each build's partner.
    """

    membership: Bool[BoolArray, "N n"]
    complement: Int[IntArray, " N"]


def draw_plan(
    units: Int[IntArray, " n"], classes: Int[IntArray, " n"], *, builds: int, seed: int
) -> MembershipPlan:
    """Draw the membership of every build.

    A target is scored against all builds but itself and its complement. Every image then
    has exactly ``builds / 2 - 1`` shadows in and as many out, whatever its status in the target;
    leaving only the target out would let the counts betray it.

    Args:
        units: ``int64 [n]``; images of one unit are drawn together.
        classes: ``int64 [n]``; each class is halved.
        builds: Number of builds, even and at least 4.
        seed: Root seed.

    Raises:
        AuditError: Too few or an odd number of builds.
    """
    if builds < 4 or builds % 2:
        raise AuditError(
            f"{builds} builds cannot be paired",
            where="fleet.builds",
            fix="Use an even number of at least 4; 16 resolves a false-positive rate of 1 %.",
        )
    rows = []
    for pair in range(builds // 2):
        half = draw_half(units, classes, rng=generator(seed, "membership", pair))
        rows += [half, ~half]
    return MembershipPlan(membership=np.stack(rows), complement=np.arange(builds) ^ 1)


def draw_half(
    units: Int[IntArray, " n"], classes: Int[IntArray, " n"], *, rng: np.random.Generator
) -> Bool[BoolArray, " n"]:
    """A random half of the images by whole units, balanced per class to within one unit.

    Units of a class are shuffled, ordered by size and split pairwise by a coin; where the two
    units of a pair differ in size, the larger goes to the side that is behind.
    """
    names, first, of_image, sizes = np.unique(
        units, return_index=True, return_inverse=True, return_counts=True
    )
    chosen = np.zeros(len(names), dtype=bool)
    ahead, leftover = 0, []
    unit_class = classes[first]
    for label in np.unique(unit_class):
        members = rng.permutation(np.flatnonzero(unit_class == label))
        members = members[np.argsort(-sizes[members], kind="stable")]
        if len(members) % 2:
            leftover.append(members[-1])
            members = members[:-1]
        for one, two in members.reshape(-1, 2):
            ahead += _split_pair(chosen, sizes, int(one), int(two), ahead, rng)
    # The odd unit of each class goes where images are missing, the largest first.
    for unit in sorted(rng.permutation(np.array(leftover, dtype=int)), key=lambda u: -sizes[u]):
        chosen[unit] = rng.random() < 0.5 if ahead == 0 else ahead < 0
        ahead += int(sizes[unit]) if chosen[unit] else -int(sizes[unit])
    half: BoolArray = chosen[of_image]
    # Neither side of the balancing above may be recognisable as "the drawn half".
    return ~half if rng.random() < 0.5 else half


def _split_pair(
    chosen: BoolArray, sizes: IntArray, one: int, two: int, ahead: int, rng: np.random.Generator
) -> int:
    """Choose one unit of a pair; return how many images more that side got."""
    larger, smaller = (one, two) if sizes[one] >= sizes[two] else (two, one)
    difference = int(sizes[larger] - sizes[smaller])
    take_larger = rng.random() < 0.5 if difference == 0 or ahead == 0 else ahead < 0
    chosen[larger if take_larger else smaller] = True
    return difference if take_larger else -difference


def redeal(membership: BoolArray, units: IntArray, rng: np.random.Generator) -> BoolArray:
    """Each row's membership dealt to its units anew, so many in and out as before.

    Args:
        membership: ``bool [N, n]``.
        units: ``int64 [n]``.
        rng: Source of the deal.
    """
    names, of_image = np.unique(units, return_inverse=True)
    rows = []
    for row in membership:
        inside = np.zeros(len(names), dtype=bool)
        inside[of_image] = row
        rows.append(rng.permutation(inside)[of_image])
    return np.stack(rows)
