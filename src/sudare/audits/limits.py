"""What a run cannot say, in sentences."""

from __future__ import annotations

from sudare.audits.checks.registry import CHECKS, check_class
from sudare.audits.config import RunConfig
from sudare.core.wording import known, listed, say

_LEAST_BUILDS = 8


def few_builds(builds: int) -> tuple[str, ...]:
    """What a run of so many builds cannot say beside the rest; nothing where they are enough."""
    return (say("limit.few_builds", builds=_LEAST_BUILDS),) if builds < _LEAST_BUILDS else ()


def families(config: RunConfig) -> str:
    """Which families of attack ran, and which this version knows and did not run."""
    ran = listed([_called("membership"), *(_called(check.kind) for check in config.checks)])
    asked = {check.kind for check in config.checks}
    left = [kind for kind in CHECKS if kind not in asked and not check_class(kind).always]
    if not left:
        return say("limit.families", ran=ran)
    return say("limit.families_left", ran=ran, left=listed([_called(kind) for kind in left]))


def limits_of_builds(config: RunConfig) -> tuple[str, ...]:
    """Of builds on random halves."""
    builds = config.fleet.builds
    return (
        say("limit.halves"),
        say("limit.strongest"),
        say("limit.builds", builds=builds),
        *few_builds(builds),
        families(config),
        say("limit.half_members"),
    )


def limits_of_artefact(config: RunConfig) -> tuple[str, ...]:
    """Of one artefact with shadows."""
    builds = config.fleet.builds
    return (
        say("limit.one_artefact"),
        say("limit.withheld"),
        say("limit.shadows", builds=builds),
        families(config),
        *few_builds(builds),
    )


def _called(kind: str) -> str:
    """What a check is called; that of another package as it calls itself."""
    return say(f"check.{kind}") if f"check.{kind}" in known() else check_class(kind).label
