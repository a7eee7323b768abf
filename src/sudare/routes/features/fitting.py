"""What every model is fitted to, and what a fit gives."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sudare.accounting.ledger import LedgerEntry
from sudare.core.arrays import Float32Array, IntArray
from sudare.core.errors import DataError
from sudare.core.progress import Progress
from sudare.core.seeds import generator
from sudare.releases.card import Statistic
from sudare.releases.samplers import Sampler
from sudare.routes.base import Role

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Int8


@dataclass(frozen=True, kw_only=True, eq=False)
class Private:
    """What a model is fitted to.

    Attributes:
        features: ``float32 [n, d]``.
        labels: ``int64 [n]``.
        class_names: One name for each class.
        public: ``float32 [p, d]``, features of images that need no protection.
        seed: Root of every random number but the noise of what leaves.
        leaves: Whether the release will leave: noise is then the operating system's.
        device: ``cpu`` or ``cuda``.
        progress: Where to report.
        name: Of the collection, for errors.
    """

    features: Float[Float32Array, "n d"]
    labels: Int[IntArray, " n"]
    class_names: tuple[str, ...]
    public: Float[Float32Array, "p d"]
    seed: int
    leaves: bool
    device: str
    progress: Progress
    name: str = ""

    def noise(self, purpose: str) -> np.random.Generator:
        """Where noise that protects is drawn from."""
        if self.leaves:
            return np.random.default_rng(secrets.randbits(256))
        return generator(self.seed, "noise", purpose)

    def need_public(self, least: int, purpose: str) -> Float32Array:
        """The public features.

        Raises:
            DataError: Fewer than are needed.
        """
        if len(self.public) < least:
            raise DataError(
                f"{purpose} needs {least} public images, there are {len(self.public)}",
                where=self.name,
                fix="Set data.public.",
            )
        return self.public


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """A fitted model.

    Attributes:
        sampler: The distribution.
        statistics: What of it was computed on private images, and how it was protected.
        ledger: What privacy budget was spent.
        guarantee: Formal guarantee in words, or empty.
        settings: What came out of the fit, for the card.
        roles: ``int8 [n]``, what each image was used for; training if None.
    """

    sampler: Sampler
    statistics: tuple[Statistic, ...]
    ledger: tuple[LedgerEntry, ...] = ()
    guarantee: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    roles: Int8[np.ndarray[tuple[int], np.dtype[np.int8]], " n"] | None = None

    def roles_of(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
        """What each image was used for."""
        return np.full(n, Role.TRAIN, dtype=np.int8) if self.roles is None else self.roles


def rows_of_class(private: Private, label: int, *, least: int, purpose: str) -> IntArray:
    """Rows of a class.

    Raises:
        DataError: Fewer than are needed.
    """
    rows: IntArray = np.flatnonzero(private.labels == label)
    if len(rows) < least:
        raise DataError(
            f"class {private.class_names[label]!r} has {len(rows)} "
            f"{'image' if len(rows) == 1 else 'images'} in this build, {purpose} needs {least}",
            where=private.name,
            fix="Enlarge the pool, or leave the class out.",
        )
    return rows
