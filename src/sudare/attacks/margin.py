"""The margin of the logits as a signal."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sudare.attacks.signals import Phi
from sudare.core.arrays import FloatArray, IntArray


class Margin(Phi):
    """The true class's logit less the largest of the others, averaged over recipients.

    ``phi`` takes the logsumexp of the others instead: with two classes both are the same, with
    many the margin looks at the one class that the image may be taken for.
    """

    name: ClassVar[str] = "margin"

    @staticmethod
    def _of_logits(logits: FloatArray, labels: IntArray) -> FloatArray:
        others: FloatArray = np.array(logits, dtype=np.float64)
        rows = np.arange(len(labels))
        own = others[rows, labels]
        others[rows, labels] = -np.inf
        margin: FloatArray = own - others.max(axis=1)
        return margin
