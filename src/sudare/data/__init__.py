"""Image collections, named sources, the audit split and the membership plan."""

from sudare.data.features import FeatureDataset
from sudare.data.images import ImageDataset, concatenate
from sudare.data.plan import MembershipPlan, draw_half, draw_plan
from sudare.data.splits import AuditSplit, SplitSizes, make_split

__all__ = [
    "AuditSplit",
    "FeatureDataset",
    "ImageDataset",
    "MembershipPlan",
    "SplitSizes",
    "concatenate",
    "draw_half",
    "draw_plan",
    "make_split",
]
