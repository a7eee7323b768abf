"""The score table: every signal of every build on every image, and who was a member."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, Float32Array, FloatArray, IntArray
from sudare.core.errors import AuditError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_BLOCK_VALUES = 2**16
"""Values of a block: half a mebibyte, and a few intermediate results beside it."""


class Scale(StrEnum):
    """What kind of number a signal is; tests declare the scales they accept."""

    LOGIT = "logit"
    LOGLIK = "loglik"
    DISTANCE = "distance"


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Signals of N builds on n pool images and m population images, with membership.

    Attributes:
        signals: Name to ``[N, n + m, Q]``; pool columns first. Any float dtype, memory maps too.
        scales: Name to the scale of that signal.
        membership: ``bool [N, n]``; True where the image was in the build's private set.
        complement: ``int64 [N]``; index of each build's complementary partner. Every row its own
            partner: a trial of models that came alone, without shadows.
        units: ``int64 [n]``; images of one unit are in or out together.
        labels: ``int64 [n + m]``; the class of each column.
        covariates: ``float32 [n + m, d]``, what an attacker knows of each image beside its class
            (components fitted on the population), or None.

    Raises:
        AuditError: Shapes that do not fit, a value that is not finite, or pairs that are
            not each other's complement.
    """

    signals: Mapping[str, Float[FloatArray | Float32Array, "N columns Q"]]
    scales: Mapping[str, Scale]
    membership: Bool[BoolArray, "N n"]
    complement: Int[IntArray, " N"]
    units: Int[IntArray, " n"]
    labels: Int[IntArray, " columns"]
    covariates: Float[Float32Array, "columns d"] | None = None

    def __post_init__(self) -> None:
        builds, images = self.membership.shape
        if self.units.shape != (images,) or self.complement.shape != (builds,):
            raise AuditError("units or complement do not fit the membership matrix")
        if self.has_shadows:
            self._check_pairs(builds)
        if self.covariates is not None and len(self.covariates) != self.labels.shape[0]:
            raise AuditError(f"covariates of {len(self.covariates)} images do not fit the labels")
        for name, values in self.signals.items():
            self._check_signal(name, values)

    @property
    def has_shadows(self) -> bool:
        """Whether builds come in complementary pairs, so that others are shadows of each."""
        return not np.array_equal(self.complement, np.arange(len(self.complement)))

    def _check_pairs(self, builds: int) -> None:
        if builds < 4 or builds % 2:
            raise AuditError(
                f"a score table needs an even number of at least 4 builds, not {builds}",
                fix="Each build needs a shadow in and a shadow out beside its own pair.",
            )
        partner = self.membership[self.complement]
        if not np.array_equal(partner, ~self.membership):
            raise AuditError(
                "a build's partner is not its complement",
                where="membership",
                fix="Rows 2i and 2i+1 of the plan must be complementary.",
            )

    def _check_signal(self, name: str, values: FloatArray | Float32Array) -> None:
        expected = (self.n_builds, self.labels.shape[0])
        if values.ndim != 3 or values.shape[:2] != expected:
            raise AuditError(
                f"signal {name!r} has shape {values.shape}, expected {expected} and queries"
            )
        # Row by row, so that a memory-mapped table is never in memory as a whole.
        if not all(bool(np.isfinite(values[row]).all()) for row in range(self.n_builds)):
            raise AuditError(
                f"signal {name!r} holds NaN or infinity",
                fix="A model that diverged cannot be audited; lower its learning rate.",
            )
        if name not in self.scales:
            raise AuditError(f"signal {name!r} has no scale")

    @property
    def n_builds(self) -> int:
        """Number of builds N."""
        return int(self.membership.shape[0])

    @property
    def n_images(self) -> int:
        """Number of pool images n."""
        return int(self.membership.shape[1])

    def queries(self, signal: str) -> int:
        """Number of queries Q of a signal."""
        return int(self._get(signal).shape[2])

    def pool(self, signal: str) -> FloatArray:
        """A signal on the pool, ``float64 [N, n, Q]``."""
        return np.asarray(self._get(signal)[:, : self.n_images], dtype=np.float64)

    def blocks(self, signal: str) -> Iterator[tuple[slice, FloatArray]]:
        """A signal on the pool, some columns at a time: the slice and ``float64 [N, b, Q]``.

        A block fits a processor's cache, so that a test which looks at each image by itself
        is faster than on the whole table, and needs no more memory for a larger one.
        """
        values = self._get(signal)
        width = max(1, _BLOCK_VALUES // (values.shape[0] * values.shape[2]))
        for start in range(0, self.n_images, width):
            columns = slice(start, min(start + width, self.n_images))
            yield columns, np.asarray(values[:, columns], dtype=np.float64)

    def population(self, signal: str) -> FloatArray:
        """A signal on the population, ``float64 [N, m, Q]``."""
        return np.asarray(self._get(signal)[:, self.n_images :], dtype=np.float64)

    def take(self, columns: IntArray, signals: Mapping[str, Float32Array]) -> ScoreTable:
        """Some pool images with signals that were measured on them alone, and no population.

        Args:
            columns: ``int64 [k]``, which images.
            signals: Name to ``float32 [N, k, Q]``, distances.
        """
        return ScoreTable(
            signals=signals,
            scales=dict.fromkeys(signals, Scale.DISTANCE),
            membership=self.membership[:, columns],
            complement=self.complement,
            units=self.units[columns],
            labels=self.labels[columns],
        )

    def with_builds(self, builds: IntArray) -> ScoreTable:
        """Only some builds, each with its complement among them.

        Args:
            builds: ``int64 [k]``, which.
        """
        place = {int(build): index for index, build in enumerate(builds)}
        return dataclasses.replace(
            self,
            signals={name: values[builds] for name, values in self.signals.items()},
            membership=self.membership[builds],
            complement=np.array([place[int(self.complement[build])] for build in builds]),
        )

    def with_membership(self, membership: BoolArray) -> ScoreTable:
        """The same scores under another membership: the null control of the whole audit."""
        return dataclasses.replace(self, membership=membership)

    def _get(self, signal: str) -> FloatArray | Float32Array:
        if signal not in self.signals:
            raise AuditError(
                f"the score table has no signal {signal!r}",
                fix=f"It has: {', '.join(sorted(self.signals)) or 'none'}.",
            )
        return self.signals[signal]
