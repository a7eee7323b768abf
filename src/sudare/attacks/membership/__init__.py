"""Membership inference: pure functions of a score table."""

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.membership.exposure import exposure, found_counts, worst_case
from sudare.attacks.membership.lira import LiRA, OfflineLiRA
from sudare.attacks.membership.rmia import RMIA, OfflineRMIA
from sudare.attacks.membership.shokri import ShokriClassifier
from sudare.attacks.membership.thresholds import LossThreshold

__all__ = [
    "RMIA",
    "LiRA",
    "LossThreshold",
    "MembershipTest",
    "OfflineLiRA",
    "OfflineRMIA",
    "ShokriClassifier",
    "exposure",
    "found_counts",
    "worst_case",
]
