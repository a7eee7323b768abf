"""Signals of every build as score tables, from the arrays that the membership check measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from sudare.attacks.registry import SIGNALS
from sudare.audits.checks.base import BuildResults
from sudare.audits.checks.trial import Trial
from sudare.core.arrays import BoolArray, Float32Array, IntArray
from sudare.core.scores import ScoreTable

if TYPE_CHECKING:
    from sudare.attacks.signals import Signal
    from sudare.audits.evidence import Evidence

COLUMNS = "columns."
"""Before a signal's name: which images a expensive one was measured on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalTables:
    """Signals of every build as score tables: one of all images, one of each expensive signal.

    Attributes:
        trial: Who was a member.
        whole: Signals on pool and population.
        partial: Name of a expensive signal to the images it was measured on and its values.
    """

    trial: Trial
    whole: ScoreTable
    partial: Mapping[str, tuple[IntArray, Float32Array]]

    @classmethod
    def of(cls, stack: BuildResults) -> SignalTables:
        """From what was measured."""
        return cls.read(
            stack.every["membership"],
            stack.trial,
            population=stack.population,
            covariates=stack.covariates,
        )

    @classmethod
    def read(
        cls,
        arrays: Mapping[str, npt.NDArray[Any]],
        trial: Trial,
        *,
        population: IntArray,
        covariates: Float32Array | None = None,
    ) -> SignalTables:
        """From arrays that the check measured.

        Args:
            arrays: One row a build.
            trial: Who was a member.
            population: ``int64 [m]``, classes of the population.
            covariates: ``float32 [n + m, d]`` of the images, or None.
        """
        expensive = {n.removeprefix(COLUMNS) for n in arrays if n.startswith(COLUMNS)}
        whole = {name: arrays[name] for name in SIGNALS if name in arrays and name not in expensive}
        table = ScoreTable(
            signals=whole,
            scales={name: cast("type[Signal[Any]]", SIGNALS.load(name)).scale for name in whole},
            membership=trial.membership,
            complement=trial.complement,
            units=trial.units,
            labels=np.concatenate([trial.classes, population]),
            covariates=covariates,
        )
        partial = {
            name: (arrays[COLUMNS + name][0].astype(np.int64), arrays[name]) for name in expensive
        }
        return cls(trial=trial, whole=table, partial=partial)

    def is_partial(self, signal: str) -> bool:
        """Whether a signal was measured on some images only."""
        return signal in self.partial

    def of_signal(self, signal: str) -> ScoreTable:
        """The table a test of a signal works on: all images, or those it was measured on."""
        if signal not in self.partial:
            return self.whole
        columns, values = self.partial[signal]
        return self.whole.take(columns, {signal: values})

    def under(self, membership: BoolArray) -> SignalTables:
        """The same scores under another membership."""
        return dataclasses.replace(self, whole=self.whole.with_membership(membership))


def table_of(evidence: Evidence, seed: int = 0) -> ScoreTable:
    """The signals of a release's evidence.

    Args:
        evidence: As a run kept it.
        seed: Seed of the run; only redraws of membership depend on it.
    """
    arrays = evidence.checks["membership"]
    return SignalTables.read(arrays, evidence.trial(seed), population=evidence.population).whole
