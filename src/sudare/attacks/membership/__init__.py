"""Membership inference: pure functions of a score table."""

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.membership.bavaria import BaVarIA, OfflineBaVarIA
from sudare.attacks.membership.exposure import exposure, found_counts, worst_case
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
from sudare.attacks.membership.traces import precision_at, trace_iqr

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
    "exposure",
    "found_counts",
    "precision_at",
    "trace_iqr",
    "worst_case",
]
