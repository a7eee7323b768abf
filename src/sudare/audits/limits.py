"""What a run cannot say, in sentences."""

from __future__ import annotations

from sudare.audits.checks.registry import CHECKS, check_class
from sudare.audits.config import RunConfig

_LEAST_BUILDS = 8
_FEW_BUILDS = (
    "Intervals from fewer than 8 builds are too short where builds differ from one another: at 4 "
    "they covered 85 to 86 % in simulations where they should cover 95 %, at 8 89 to 92 %."
)


def few_builds(builds: int) -> tuple[str, ...]:
    """What a run of so many builds cannot say beside the rest; nothing where they are enough."""
    return (_FEW_BUILDS,) if builds < _LEAST_BUILDS else ()


def families(config: RunConfig) -> str:
    """Which families of attack ran, and which this version knows and did not run."""
    ran = ["membership inference", *(check.label for check in config.checks)]
    asked = {check.kind for check in config.checks}
    every = [check_class(kind) for kind in CHECKS if kind not in asked]
    known = [check.label for check in every if not check.always]
    left = f" Known here and not run: {', '.join(known)}." if known else ""
    return f"Only these families of attack were run: {', '.join(ran)}.{left}"


def limits_of_builds(config: RunConfig) -> tuple[str, ...]:
    """Of builds on random halves."""
    return (
        "Every build is trained on half of the collection. A release trained on all of it "
        "usually leaks less and predicts better; how much is not measured here.",
        "The attacker knows how the release was made and has shadow builds from the same "
        "collection, the strongest position an audit can give. Real attackers know less.",
        f"{config.fleet.builds} builds per release: with so few, only a part of what a "
        "256-build attack would find is found.",
        *few_builds(config.fleet.builds),
        families(config),
        "Half of the images are members by construction. Where members are rare, far fewer "
        "of an attacker's accusations are right.",
    )


def limits_of_artefact(config: RunConfig) -> tuple[str, ...]:
    """Of one artefact with shadows."""
    builds = config.fleet.builds
    return (
        "One artefact was attacked: its figures hold for it, not for the way it was made.",
        "Members are the images it was trained on, non-members the withheld fifth.",
        f"{builds} shadow builds were trained on random halves of the collection, the artefact "
        "on four fifths: the difference in size weakens the attack somewhat.",
        families(config),
        *few_builds(builds),
    )
