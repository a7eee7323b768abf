"""How near released images are to the images they were made from: diagnostics of a set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sudare.attacks.nearest_neighbour import Levels, features, pixels
from sudare.audits.checks.base import (
    BuildResults,
    Check,
    CheckInput,
    Judgement,
    Measurement,
    Pooled,
)
from sudare.audits.checks.built_in import CopyingCheckConfig
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import BoolArray, Float32Array, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.seeds import generator
from sudare.core.threats import ThreatModel
from sudare.core.wording import say
from sudare.metrics import (
    authenticity,
    closer_to_members,
    copying_score,
    mean_over_builds,
    nearest,
    nearness_ratio,
)
from sudare.releases.kinds import SetView

if TYPE_CHECKING:
    from sudare.releases.kinds import Release

_FEATURES = "features.npy"
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


class CopyingCheck(Check[CopyingCheckConfig]):
    """Distances of released images to members and to others, four figures in two spaces.

    Members are compared with an equal number of non-members, in pixels and in features. These
    figures say that a set looks copied; that they do not is no evidence that it protects.
    """

    def not_for(self, kind: type[Release]) -> str:
        """Only sets of images have distances to images."""
        return "" if kind.set_as is not None else "it is no set of images"

    def pools(self) -> bool:
        """Features of the pool are the same beside every build."""
        return True

    def prepare_pool(self, given: Pooled, folder: Path) -> None:
        """Features of the pool images, ``float32 [n, d]``."""
        np.save(folder / _FEATURES, features(given.pool.images))

    def measure(self, tested: CheckInput) -> Measurement:
        """Each figure in each space; NaN where it cannot be told."""
        release, pool, members = tested.release, tested.pool, tested.members
        shown = release.expose(release.set_as) if release.set_as is not None else None
        if not isinstance(shown, SetView) or tested.pooled is None or members is None:
            raise TypeError("a set of images is compared with members that are known")
        whole = {"pixels": pixels(pool.images), "features": np.load(tested.pooled / _FEATURES)}
        rng = generator(tested.seed, "drawn")
        sides = {
            "members": _drawn(members, int((~members).sum()), rng),
            "holdout": _drawn(~members, int(members.sum()), rng),
        }
        arrays = {}
        for space, embed in _SPACES.items():
            found = _Build(
                released=embed(shown.images),
                released_classes=shown.soft_labels.argmax(axis=1).astype(np.int64),
                pool=whole[space],
                classes=pool.classes,
                **sides,
            ).figures()
            for name, value in found.items():
                arrays[f"{space}.{name}"] = np.array(np.nan if value is None else value)
        return Measurement(arrays=arrays)

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """Means over builds; none of a null control, whose members were not used."""
        if stack.config.audit.null:
            return Judgement(findings=[])
        return Judgement(
            findings=[
                maker.finding(
                    f"copying.{space}.{name}",
                    _estimate(stack.arrays[f"{space}.{name}"], _RANGES.get(name)),
                    threat=ThreatModel.SAMPLES_SET,
                    unit=unit,
                )
                for space in _SPACES
                for name, unit in _UNITS.items()
            ]
        )


def _drawn(side: BoolArray, others: int, rng: np.random.Generator) -> IntArray:
    """As many of one side as the other has at most."""
    columns: IntArray = np.flatnonzero(side)
    if len(columns) <= others:
        return columns
    return np.sort(rng.permutation(columns)[:others])


def _estimate(values: FloatArray, bounds: tuple[float, float] | None) -> Estimate:
    if np.isnan(values).any():
        return Estimate.unresolvable(
            n=0, method=say("method.mean"), reason=say("reason.few_released")
        )
    return mean_over_builds(values.astype(np.float64), bounds=bounds)


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
