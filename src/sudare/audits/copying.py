"""How near released images are to the images they were made from: diagnostics of a set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sudare.attacks.nearness import Levels, features, pixels
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import BoolArray, Float32Array, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding
from sudare.core.seeds import generator
from sudare.core.threats import ThreatModel
from sudare.data.images import ImageDataset
from sudare.metrics import (
    authenticity,
    closer_to_members,
    copying_score,
    mean_over_builds,
    nearest,
    nearness_ratio,
)
from sudare.releases.kinds import SetView
from sudare.releases.store import read_release

if TYPE_CHECKING:
    from jaxtyping import Bool

__all__ = ["PREFIX", "copying_findings", "released_sets"]

PREFIX = "copying."
_SPACES: Mapping[str, Callable[[Levels], Float32Array]] = {
    "pixels": pixels,
    "features": features,
}
_UNITS = {
    "closer_to_members": "share",
    "nearness_ratio": "ratio",
    "authenticity": "share",
    "score": "standard deviations",
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "closer_to_members": (0.0, 1.0),
    "nearness_ratio": (0.0, math.inf),
    "authenticity": (0.0, 1.0),
}


def copying_findings(
    maker: FindingMaker,
    sets: Sequence[SetView],
    pool: ImageDataset,
    membership: Bool[BoolArray, "N n"],
) -> list[Finding]:
    """Findings ``copying.<space>.<figure>``, a mean over builds each.

    Members are compared with an equal number of non-members, in pixels and in features. These
    figures say that a set looks copied; that they do not is no evidence that it protects.

    Args:
        maker: Fills in what findings about the release share.
        sets: What each build released.
        pool: The images whose membership is in question.
        membership: Who was in which build.
    """
    findings = []
    for space, embed in _SPACES.items():
        whole = embed(pool.images)
        per_build = [
            _Build(
                released=embed(one.images),
                released_classes=one.soft_labels.argmax(axis=1).astype(np.int64),
                members=_drawn(inside, int((~inside).sum()), build),
                holdout=_drawn(~inside, int(inside.sum()), build),
                pool=whole,
                classes=pool.classes,
            ).figures()
            for build, (one, inside) in enumerate(zip(sets, membership, strict=True))
        ]
        for name, unit in _UNITS.items():
            values = [figures[name] for figures in per_build]
            findings.append(
                maker.finding(
                    f"{PREFIX}{space}.{name}",
                    _estimate(values, _RANGES.get(name)),
                    threat=ThreatModel.SAMPLES_SET,
                    unit=unit,
                )
            )
    return findings


def released_sets(folders: Sequence[Path]) -> list[SetView]:
    """What releases in folders show of themselves; empty if they are no sets of images."""
    sets: list[SetView] = []
    for folder in folders:
        release = read_release(folder)
        if release.set_as is None:
            return []
        view = release.expose(release.set_as)
        if not isinstance(view, SetView):
            return []
        sets.append(view)
    return sets


def _drawn(side: BoolArray, others: int, build: int) -> IntArray:
    """As many of one side as the other has at most."""
    columns: IntArray = np.flatnonzero(side)
    if len(columns) <= others:
        return columns
    chosen = generator(0, "copying", str(build)).permutation(columns)[:others]
    return np.sort(chosen)


def _estimate(values: Sequence[float | None], bounds: tuple[float, float] | None) -> Estimate:
    known = np.array([value for value in values if value is not None])
    if len(known) < len(values):
        return Estimate.unresolvable(
            n=0, method="mean over builds", reason="No class has five released images."
        )
    return mean_over_builds(known, bounds=bounds)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Build:
    """One build's released items, members and holdout in one space."""

    released: Float32Array
    released_classes: IntArray
    members: IntArray
    holdout: IntArray
    pool: Float32Array
    classes: IntArray

    def figures(self) -> dict[str, float | None]:
        members, holdout = self.pool[self.members], self.pool[self.holdout]
        near, which = nearest(self.released, members, k=2)
        far, _ = nearest(self.released, holdout, k=2)
        copied_from, place = np.unique(which[:, 0], return_inverse=True)
        between = nearest(members[copied_from], members, k=2)[0][:, 1]
        return {
            "closer_to_members": closer_to_members(near[:, 0], far[:, 0]),
            "nearness_ratio": nearness_ratio(near, far),
            "authenticity": authenticity(near[:, 0], place, between),
            "score": self._score(),
        }

    def _score(self) -> float | None:
        """C_T with classes as cells."""
        member_classes, holdout_classes = self.classes[self.members], self.classes[self.holdout]
        parts: list[tuple[FloatArray, FloatArray, int]] = []
        for cell in np.intersect1d(member_classes, holdout_classes):
            members = self.pool[self.members[member_classes == cell]]
            theirs = self.pool[self.holdout[holdout_classes == cell]]
            ours = self.released[self.released_classes == cell]
            parts.append((nearest(ours, members)[0], nearest(theirs, members)[0], int(cell)))
        if not parts:
            return None
        return copying_score(
            np.concatenate([ours[:, 0] for ours, _, _ in parts]),
            np.concatenate([theirs[:, 0] for _, theirs, _ in parts]),
            np.concatenate([np.full(len(ours), cell) for ours, _, cell in parts]),
            np.concatenate([np.full(len(theirs), cell) for _, theirs, cell in parts]),
        )
