"""Attacks by name: membership tests, the signals they read, evasion, priors of inversion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from sudare.core.errors import ConfigError
from sudare.core.registry import Registry

if TYPE_CHECKING:
    from sudare.attacks.membership.base import MembershipTest

MEMBERSHIP_TESTS = Registry(
    "membership test",
    {
        "bavaria": "sudare.attacks.membership.bavaria:BaVarIA",
        "bavaria_offline": "sudare.attacks.membership.bavaria:OfflineBaVarIA",
        "lira": "sudare.attacks.membership.lira:LiRA",
        "lira_offline": "sudare.attacks.membership.lira:OfflineLiRA",
        "rmia": "sudare.attacks.membership.rmia:RMIA",
        "rmia_offline": "sudare.attacks.membership.rmia:OfflineRMIA",
        "quantile": "sudare.attacks.membership.quantile:QuantileRegression",
        "loss": "sudare.attacks.membership.thresholds:LossThreshold",
        "entropy": "sudare.attacks.membership.thresholds:EntropyThreshold",
        "modified_entropy": "sudare.attacks.membership.thresholds:ModifiedEntropyThreshold",
        "margin": "sudare.attacks.membership.thresholds:MarginThreshold",
        "gap": "sudare.attacks.membership.thresholds:GapAttack",
        "boundary": "sudare.attacks.membership.distances:BoundaryThreshold",
        "boundary_calibrated": "sudare.attacks.membership.distances:CalibratedBoundary",
        "nearest": "sudare.attacks.membership.distances:NearestReleased",
        "nearest_calibrated": "sudare.attacks.membership.distances:CalibratedNearest",
        "shokri": "sudare.attacks.membership.shokri:ShokriClassifier",
    },
    group="sudare.membership",
)

SIGNALS = Registry(
    "signal",
    {
        "phi": "sudare.attacks.signals:Phi",
        "log_posterior": "sudare.attacks.signals:LogPosterior",
        "margin": "sudare.attacks.margin:Margin",
        "nearest_pixels": "sudare.attacks.nearest_neighbour:NearestPixels",
        "nearest_features": "sudare.attacks.nearest_neighbour:NearestFeatures",
        "boundary": "sudare.attacks.boundary:BoundaryDistance",
    },
    group="sudare.signals",
)
"""What is measured of every build where its release shows it; a test names the one it reads."""

EVASION = Registry(
    "evasion attack",
    {
        "bim": "sudare.attacks.evasion.bim:Bim",
        "fgsm": "sudare.attacks.evasion.fgsm:Fgsm",
        "pgd": "sudare.attacks.evasion.pgd:Pgd",
        "apgd-ce": "sudare.attacks.evasion.apgd:AutoPgd",
        "apgd-dlr": "sudare.attacks.evasion.apgd:DlrAutoPgd",
        "apgd-t": "sudare.attacks.evasion.autoattack:TargetedAutoPgd",
        "fab": "sudare.attacks.evasion.fab:Fab",
        "square": "sudare.attacks.evasion.square:Square",
        "deepfool": "sudare.attacks.evasion.deepfool:DeepFool",
    },
    group="sudare.evasion",
)

PRIORS = Registry(
    "prior",
    {
        "pca": "sudare.attacks.inversion.priors:PcaPrior",
        "vae": "sudare.attacks.inversion.priors:VaePrior",
    },
    group="sudare.priors",
)
"""What an inverting attacker knows of images in general."""


def make_test(name: str, settings: Mapping[str, Any]) -> MembershipTest:
    """A membership test by name, with settings.

    Raises:
        ConfigError: Unknown name or settings that do not fit.
    """
    test = cast("type[MembershipTest]", MEMBERSHIP_TESTS.load(name))
    try:
        return test.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(first["msg"].lower(), where=f"attacks.{name}.{place}") from error
