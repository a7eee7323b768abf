"""Loss traces: which members a model's own training history says are exposed, without shadows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import Float32Array, FloatArray
from sudare.core.errors import AuditError

if TYPE_CHECKING:
    from jaxtyping import Float


def trace_iqr(trace: Float[FloatArray | Float32Array, "epochs n"]) -> Float[FloatArray, " n"]:
    """Interquartile range of each training image's loss over the epochs, in nats.

    An image that was learnt late, or learnt and lost again, has a wide range; shadow attacks
    find such images. The trainer records the losses it computes anyway.

    Args:
        trace: ``[epochs, n]``; NaN where an image was not drawn in an epoch (DP-SGD).

    Raises:
        AuditError: Fewer than four epochs, or an image that was never drawn.

    Source:
        Pollock et al. 2024, "Free record-level privacy risk evaluation through artifact-based
        methods" (arXiv 2411.05743).
    """
    trace = np.asarray(trace, dtype=np.float64)
    if len(trace) < 4:
        raise AuditError(
            f"a loss trace of {len(trace)} epochs has no quartiles", fix="Train for 4 or more."
        )
    if np.isnan(trace).all(axis=0).any():
        raise AuditError("an image has no loss in any epoch")
    low, high = np.nanquantile(trace, [0.25, 0.75], axis=0)
    spread: FloatArray = high - low
    return spread


def precision_at(
    guess: Float[FloatArray, " n"], truth: Float[FloatArray, " n"], *, share: float
) -> float:
    """Of the images a cheap score ranks highest, the share that are highest in truth.

    Tied images share the places that are left, so that constant scores do as well as chance.

    Args:
        guess: The cheap score.
        truth: What a shadow attack found.
        share: How many images count as "highest", in (0, 1); also what chance would give.

    >>> precision_at(np.array([3.0, 2.0, 1.0, 0.0]), np.array([9.0, 1.0, 5.0, 0.0]), share=0.5)
    0.5

    Raises:
        AuditError: Shapes that differ, or a share of no image.
    """
    if guess.shape != truth.shape:
        raise AuditError(f"scores of {guess.shape} and {truth.shape} images cannot be compared")
    top = round(share * len(guess))
    if not 0 < top < len(guess):
        raise AuditError(f"a share of {share:g} of {len(guess)} images is no set of images")
    return float((_among_top(guess, top) * _among_top(truth, top)).sum() / top)


def _among_top(scores: FloatArray, top: int) -> FloatArray:
    """How much of each is among the highest: 1, 0, or a share of what is left where scores tie."""
    cut = np.sort(scores)[-top]
    above, tied = scores > cut, scores == cut
    share: FloatArray = above + tied * ((top - above.sum()) / tied.sum())
    return share
