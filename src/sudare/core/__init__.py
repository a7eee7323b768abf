"""What every room shares: errors, seeds, progress, estimates, findings, the score table."""

from sudare.core.errors import (
    AuditError,
    BudgetError,
    CacheError,
    ConfigError,
    DataError,
    MissingExtraError,
    NotEvaluableError,
    ReleaseError,
    SudareError,
)
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding, Findings, Status
from sudare.core.registry import Registry
from sudare.core.scores import Scale, ScoreTable
from sudare.core.seeds import generator, integer_seed, seed_sequence
from sudare.core.threats import ThreatModel

__all__ = [
    "AuditError",
    "BudgetError",
    "CacheError",
    "ConfigError",
    "DataError",
    "Estimate",
    "Finding",
    "Findings",
    "MissingExtraError",
    "NotEvaluableError",
    "Registry",
    "ReleaseError",
    "Scale",
    "ScoreTable",
    "Status",
    "SudareError",
    "ThreatModel",
    "generator",
    "integer_seed",
    "seed_sequence",
]
