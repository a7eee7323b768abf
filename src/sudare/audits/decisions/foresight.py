"""Before the first build: which questions this run can answer, and what the others would take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sudare.attacks.registry import make_test
from sudare.fleets.builds import builds_of
from sudare.releases.registry import kind_class

if TYPE_CHECKING:
    from sudare.audits.config import RunConfig
    from sudare.data.images import ImageDataset
    from sudare.data.splits import AuditSplit
    from sudare.routes.config import PlannedRelease, RouteConfig

_LEAST_BUILDS, _LEAST_UNITS, _LEAST_TEST = 8, 60, 50
_WIDER = 1.5
"""Half of an interval over that of independent scores, by rule of thumb: a plan, no promise."""


def foreseen(config: RunConfig, split: AuditSplit) -> dict[str, list[str]]:
    """What stands against an answer, each with the releases it is about; empty if nothing does.

    Args:
        config: The run.
        split: Its images.
    """
    units, test = len(np.unique(split.pool.unit)), len(split.test)
    checks = {check.kind for check in config.checks}
    found: dict[str, list[str]] = {}
    of_all = _of_the_collection(units, test)

    def against(release: PlannedRelease, what: str) -> None:
        found.setdefault(what, []).append(release.label)

    for route in config.routes:
        builds = builds_of(route, config.fleet.builds)
        unfed = _unfed(route, split.pool)
        for release in route.releases:
            for what in (*of_all, *unfed):
                against(release, what)
            if builds < _LEAST_BUILDS:
                against(release, f"the most exposed need {_LEAST_BUILDS} builds, {builds} are made")
            least = max((_builds_of(name, config) for name in config.attacks.membership), default=4)
            if _LEAST_BUILDS > builds < least:
                against(release, f"an attack needs {least} builds, {builds} are made")
            margin = config.verdict.share_auc - 0.5
            reach = _WIDER * 1.96 / math.sqrt(3 * units * builds)
            if reach > margin:
                wanted = 2 * math.ceil(builds * (reach / margin) ** 2 / 2)
                against(release, f"an average at chance needs about {wanted} builds to be shown")
            if not kind_class(release.kind).in_pixels and "sampler" not in checks:
                against(release, 'its ranges need the check "sampler"')
    return found


def _of_the_collection(units: int, test: int) -> list[str]:
    """What stands against an answer for every release."""
    told = []
    if units < _LEAST_UNITS:
        told.append(f"attacks need {_LEAST_UNITS} people or images, there are {units}")
    if test < _LEAST_TEST:
        told.append(f"its use needs {_LEAST_TEST} test images or more, there are {test}")
    return told


def _unfed(route: RouteConfig, pool: ImageDataset) -> list[str]:
    """Of which class a build has fewer images than the route cannot do without."""
    counts = np.bincount(pool.classes, minlength=pool.n_classes) // 2
    smallest, wanted = int(np.argmin(counts)), route.wanted_of_each_class
    if wanted <= counts[smallest]:
        return []
    name = pool.class_names[smallest]
    return [f"class {name!r} has {counts[smallest]} images in a build, {wanted} are wanted"]


def said_of(found: dict[str, list[str]], releases: int) -> str:
    """It as a line or two for people."""
    held = {label for labels in found.values() for label in labels}
    if not held:
        return (
            "Every question of the decision can be answered for every release, if no figure "
            "lies on a line."
        )
    told = [
        f"{what} ({'all' if len(labels) == releases else ', '.join(labels)})"
        for what, labels in found.items()
    ]
    return (
        f'For {len(held)} of {releases} releases this run will say "cannot tell" at best: '
        + "; ".join(told)
        + "."
    )


def _builds_of(name: str, config: RunConfig) -> int:
    return make_test(name, config.attacks.settings.get(name, {})).least_builds
