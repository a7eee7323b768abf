"""Membership inference: pure functions of a score table."""

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.membership.bavaria import BaVarIA, OfflineBaVarIA
from sudare.attacks.membership.lira import LiRA, OfflineLiRA
from sudare.attacks.membership.quantile import QuantileRegression
from sudare.attacks.membership.rmia import RMIA, OfflineRMIA
from sudare.attacks.membership.shokri import ShokriClassifier
from sudare.attacks.membership.thresholds import (
    EntropyThreshold,
    GapAttack,
    LossThreshold,
    MarginThreshold,
    ModifiedEntropyThreshold,
)

__all__ = [
    "RMIA",
    "BaVarIA",
    "EntropyThreshold",
    "GapAttack",
    "LiRA",
    "LossThreshold",
    "MarginThreshold",
    "MembershipTest",
    "ModifiedEntropyThreshold",
    "OfflineBaVarIA",
    "OfflineLiRA",
    "OfflineRMIA",
    "QuantileRegression",
    "ShokriClassifier",
]
