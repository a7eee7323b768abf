"""Signals: one number for each image and query, measured on what the attacker sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar, final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sudare.core.arrays import ByteArray, Float32Array, FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.scores import Scale
from sudare.releases.kinds import LabelsView, LogitsView, SetView, View

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8


ViewT = TypeVar("ViewT", LabelsView, LogitsView, SetView)


class Signal(BaseModel, ABC, Generic[ViewT]):
    """Measures what an attacker sees on images. A subclass writes ``_measure``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    scale: ClassVar[Scale]
    view: ClassVar[type[View]] = LogitsView
    """What it is measured on."""
    expensive: ClassVar[bool] = False
    """Whether it costs too much for every image, so that it is measured on some only."""

    @classmethod
    def asking(cls, *, queries: int, budget: int) -> Self:
        """The signal with the settings of a run, those of them that it has.

        Args:
            queries: 1 for the image itself, 2 for it and its mirror image.
            budget: Questions about each image, where that is what it costs.
        """
        given = {"queries": queries, "budget": budget}
        return cls(**{name: value for name, value in given.items() if name in cls.model_fields})

    @final
    def measure(
        self,
        view: ViewT,
        images: UInt8[ByteArray, "n c h w"],
        labels: Int[IntArray, " n"],
        *,
        seed: int,
    ) -> Float[Float32Array, "n Q"]:
        """The signal on each image and query, ``float32 [n, Q]``.

        Raises:
            AuditError: The signal is not finite.
        """
        values = self._measure(view, images, labels, seed)
        if values.shape[0] != len(images) or not np.isfinite(values).all():
            raise AuditError(
                f"signal {self.name!r} is not finite",
                fix="A model that diverged cannot be audited; lower its learning rate.",
            )
        return values.astype(np.float32)

    @abstractmethod
    def _measure(self, view: ViewT, images: ByteArray, labels: IntArray, seed: int) -> FloatArray:
        """Values ``float64 [n, Q]``."""


class Phi(Signal[LogitsView]):
    """The logit of the true class's confidence, averaged over recipients.

    Attributes:
        queries: 1 for the image itself, 2 for it and its mirror image.

    Source:
        Carlini et al. 2022, eq. 3, in the form that needs no epsilon.
    """

    name: ClassVar[str] = "phi"
    scale: ClassVar[Scale] = Scale.LOGIT

    queries: int = Field(default=2, ge=1, le=2)

    def _measure(
        self, view: LogitsView, images: ByteArray, labels: IntArray, seed: int
    ) -> FloatArray:
        views = [images, images[:, :, :, ::-1]][: self.queries]
        columns = [
            np.mean([self._of_logits(one, labels) for one in view.logits(query)], axis=0)
            for query in views
        ]
        return np.stack(columns, axis=1)

    @staticmethod
    def _of_logits(logits: FloatArray, labels: IntArray) -> FloatArray:
        return logit_confidence(logits, labels)


class LogPosterior(Signal[LogitsView]):
    """The log-probability of every class, averaged over recipients; Q is the number of classes."""

    name: ClassVar[str] = "log_posterior"
    scale: ClassVar[Scale] = Scale.LOGLIK

    def _measure(
        self, view: LogitsView, images: ByteArray, labels: IntArray, seed: int
    ) -> FloatArray:
        mean: FloatArray = log_posterior(view.logits(images)).mean(axis=0)
        return mean


def logit_confidence(
    logits: Float[FloatArray, "n C"], labels: Int[IntArray, " n"]
) -> Float[FloatArray, " n"]:
    """z_y - logsumexp of the other logits, in float64: the logit of the confidence in y.

    >>> float(logit_confidence(np.array([[1.0, 1.0]]), np.array([0]))[0])
    0.0
    """
    from scipy.special import logsumexp

    logits = np.asarray(logits, dtype=np.float64)
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    phi: FloatArray = logits[rows, labels] - logsumexp(others, axis=1)
    return phi


def log_posterior(logits: FloatArray) -> FloatArray:
    """Log-softmax over the last axis."""
    from scipy.special import log_softmax

    values: FloatArray = log_softmax(logits, axis=-1)
    return values
