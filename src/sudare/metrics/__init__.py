"""Pure functions on arrays; those that estimate return a value with its interval."""

from sudare.metrics.aop import accuracy_over_privacy
from sudare.metrics.bootstrap import AttackEstimates, membership_estimates, simultaneous
from sudare.metrics.classification import (
    accuracy,
    balanced_accuracy,
    expected_calibration_error,
    recall_per_class,
)
from sudare.metrics.copying import (
    authenticity,
    closer_to_members,
    copying_score,
    nearest,
    nearness_ratio,
)
from sudare.metrics.crossed import crossed_share
from sudare.metrics.epsilon import (
    epsilon_from_counts,
    epsilon_from_gaussian,
    epsilon_from_threshold,
    epsilon_one_run,
    epsilon_one_run_fdp,
    one_run_ceiling,
    one_run_guesses,
)
from sudare.metrics.gaps import largest_difference, largest_gap, mean_gap, worst_share
from sudare.metrics.intervals import (
    clopper_pearson,
    mean_over_builds,
    mean_recall,
    precision_at_prior,
)
from sudare.metrics.inversion import Prdc, frechet_distance, prdc, same_class_distance
from sudare.metrics.roc import (
    LEAST_UNITS,
    Roc,
    auc,
    enough_units,
    resolvable,
    roc,
    tpr_at_fpr,
)

__all__ = [
    "LEAST_UNITS",
    "AttackEstimates",
    "Prdc",
    "Roc",
    "accuracy",
    "accuracy_over_privacy",
    "auc",
    "authenticity",
    "balanced_accuracy",
    "clopper_pearson",
    "closer_to_members",
    "copying_score",
    "crossed_share",
    "enough_units",
    "epsilon_from_counts",
    "epsilon_from_gaussian",
    "epsilon_from_threshold",
    "epsilon_one_run",
    "epsilon_one_run_fdp",
    "expected_calibration_error",
    "frechet_distance",
    "largest_difference",
    "largest_gap",
    "mean_gap",
    "mean_over_builds",
    "mean_recall",
    "membership_estimates",
    "nearest",
    "nearness_ratio",
    "one_run_ceiling",
    "one_run_guesses",
    "prdc",
    "precision_at_prior",
    "recall_per_class",
    "resolvable",
    "roc",
    "same_class_distance",
    "simultaneous",
    "tpr_at_fpr",
    "worst_share",
]
