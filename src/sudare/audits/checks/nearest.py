"""Near copies and phantoms of many builds: the arrays that are kept, and how they are counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sudare.attacks.near_copies import Neighbours, matches
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.wording import say
from sudare.metrics import clopper_pearson

SPACES = ("pixels", "features")
_BEYOND_DOUBT = 0.25
"""Of the distance to any image that was not used: one such item is a copy, wherever it stands."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Copies of all builds, each unit once a build.

    Attributes:
        copies: Items that are a private image of their build.
        phantoms: Items that are as near to one that was not used.
        sure: Builds in which one is a copy beyond doubt.
        total: Items in all builds.
    """

    copies: int
    phantoms: int
    sure: int
    total: int

    @property
    def near(self) -> Estimate:
        """The share of copies; it was counted and has no interval."""
        return _share(self.copies, self.total)

    @property
    def phantom(self) -> Estimate:
        """The share of phantoms."""
        return _share(self.phantoms, self.total)

    @property
    def excess(self) -> Estimate:
        """Copies less phantoms; without copying each match is one or the other by a fair coin."""
        return _excess(self.copies, self.phantoms, self.sure, self.total)


def counted(
    arrays: Mapping[str, npt.NDArray[Any]], membership: BoolArray, units: IntArray, *, total: int
) -> Counted:
    """Copies among the items whose neighbours are kept as ``near``.

    Args:
        arrays: Of all builds, as :func:`padded` made those of one.
        membership: ``bool [builds, n]``.
        units: Unit of each image ``[n]``.
        total: Items in all builds.
    """
    copies = phantoms = sure = 0
    for build, members in enumerate(membership):
        each = [found_in(arrays, "near", space, build) for space in SPACES]
        told = [matches(found, members) for found in each]
        copies += len(_units(each, [one[0] for one in told], members, units))
        phantoms += len(_units(each, [one[1] for one in told], ~members, units))
        sure += int(any((one[0] & (one[2] < _BEYOND_DOUBT)).any() for one in told))
    return Counted(copies=copies, phantoms=phantoms, sure=sure, total=total)


def padded(found: Mapping[str, Neighbours], name: str, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Arrays of as many rows in every build, however many items it released."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for space, one in found.items():
        missing = ((0, rows - len(one.columns)), (0, 0))
        arrays[f"{name}_{space}_columns"] = np.pad(one.columns, missing, constant_values=-1)
        arrays[f"{name}_{space}_distances"] = np.pad(one.distances, missing, constant_values=np.inf)
    return arrays


def found_in(
    arrays: Mapping[str, npt.NDArray[Any]], name: str, space: str, build: int
) -> Neighbours:
    """What :func:`padded` kept of one build.

    Args:
        arrays: Of all builds.
        name: ``near`` or ``planted``.
        space: ``pixels`` or ``features``.
        build: Which.
    """
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


def _share(count: int, total: int) -> Estimate:
    share = count / max(total, 1)
    return Estimate(value=share, low=share, high=share, n=0, method=say("method.counted_units"))


def _excess(copies: int, phantoms: int, sure: int, total: int) -> Estimate:
    """Copies less phantoms; without copying each match is one or the other by a fair coin."""
    method = say("method.sign_test")
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
