"""The margin of the logits as a signal."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from sudare.attacks.signals import Signal
from sudare.core.arrays import ByteArray, FloatArray, IntArray
from sudare.core.scores import Scale
from sudare.releases.kinds import LogitsView


class Margin(Signal[LogitsView]):
    """The true class's logit less the largest of the others, averaged over recipients.

    ``phi`` takes the logsumexp of the others instead: with two classes both are the same, with
    many the margin looks at the one class that the image may be taken for.

    Attributes:
        queries: 1 for the image itself, 2 for it and its mirror image.
    """

    name: ClassVar[str] = "margin"
    scale: ClassVar[Scale] = Scale.LOGIT

    queries: int = Field(default=2, ge=1, le=2)

    def _measure(
        self, view: LogitsView, images: ByteArray, labels: IntArray, seed: int
    ) -> FloatArray:
        views = [images, images[:, :, :, ::-1]][: self.queries]
        columns = [
            np.mean([_margin(one, labels) for one in view.logits(query)], axis=0) for query in views
        ]
        return np.stack(columns, axis=1)


def _margin(logits: FloatArray, labels: IntArray) -> FloatArray:
    others: FloatArray = np.array(logits, dtype=np.float64)
    rows = np.arange(len(labels))
    own = others[rows, labels]
    others[rows, labels] = -np.inf
    margin: FloatArray = own - others.max(axis=1)
    return margin
