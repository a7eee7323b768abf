"""Pure functions on arrays; those that estimate return a value with its interval."""

from sudare.metrics.bootstrap import AttackEstimates, membership_estimates
from sudare.metrics.classification import (
    accuracy,
    balanced_accuracy,
    expected_calibration_error,
    recall_per_class,
)
from sudare.metrics.intervals import clopper_pearson, mean_over_builds
from sudare.metrics.roc import Roc, auc, resolvable, roc, tpr_at_fpr

__all__ = [
    "AttackEstimates",
    "Roc",
    "accuracy",
    "auc",
    "balanced_accuracy",
    "clopper_pearson",
    "expected_calibration_error",
    "mean_over_builds",
    "membership_estimates",
    "recall_per_class",
    "resolvable",
    "roc",
    "tpr_at_fpr",
]
