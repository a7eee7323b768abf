"""Records that somebody brings for an audit: their labels, their units, and what is doubtful."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.wording import say
from sudare.data.duplicates import record_clusters
from sudare.metrics import mean_recall

if TYPE_CHECKING:
    import numpy.typing as npt


def labels_of(given: npt.ArrayLike, answers: FloatArray) -> IntArray:
    """Class numbers, of numbers or of one-hot rows.

    Args:
        given: ``[n]`` or ``[n, C]``.
        answers: ``float64 [n, C]``, what the model said.

    Raises:
        AuditError: They do not fit the answers.
    """
    labels = np.asarray(given)
    if labels.shape == answers.shape and (np.sort(labels, axis=1)[:, :-1] == 0).all():
        # One-hot: the class is the column that is not zero.
        labels = labels.argmax(axis=1)
    numbers = labels.ndim == 1 and labels.dtype.kind in "iuf" and len(labels) == len(answers)
    if not numbers or not (np.isin(labels, np.arange(answers.shape[1]))).all():
        what = f"labels of shape {labels.shape} do not fit answers of shape {answers.shape}"
        if labels.dtype.kind in "US":
            what += ": they are text"
        elif numbers:
            what += f": they run from {labels.min():g} to {labels.max():g}, classes from 0"
        raise AuditError(what, fix="Give one class number from 0 for each record.")
    return labels.astype(np.int64)


def units_of(
    members: npt.ArrayLike,
    non_members: npt.ArrayLike,
    units: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    membership: BoolArray,
) -> tuple[IntArray, list[str]]:
    """The unit of each record, members first, and what there is to say of them."""
    if units is not None:
        given = np.concatenate([np.asarray(part).ravel() for part in units])
        if len(given) != len(membership):
            raise AuditError(f"{len(given)} units do not fit {len(membership)} records")
        number: IntArray = np.unique(given, return_inverse=True)[1]
        both = np.intersect1d(number[membership], number[~membership])
        shared = say("doubt.shared_units", count=f"{len(both):,}")
        return _apart(number, membership), [shared] if len(both) else []
    unit = record_clusters(np.concatenate([np.asarray(members), np.asarray(non_members)]))
    distinct, told = len(np.unique(unit)), []
    if distinct < len(unit):
        told.append(say("doubt.near_records", count=f"{len(unit):,}", distinct=f"{distinct:,}"))
    crossing = np.intersect1d(unit[membership], unit[~membership])
    if len(crossing):
        equal = int(np.isin(unit[~membership], crossing).sum())
        told.append(say("doubt.crossing", count=f"{equal:,}"))
    return _apart(unit, membership), told


def _apart(unit: IntArray, membership: BoolArray) -> IntArray:
    """Units of which none is on both sides, for a null control deals whole units."""
    return np.unique(2 * unit + membership, return_inverse=True)[1]


def doubts_of(
    answers: FloatArray, classes: IntArray, membership: BoolArray, names: tuple[str, ...]
) -> list[str]:
    """What makes figures about a model doubtful, a sentence each."""
    told, known = [], len(names) or len(np.unique(classes))
    if answers.shape[1] > known:
        told.append(say("doubt.classes", answers=answers.shape[1], known=known))
    own = classes[membership]
    right = answers[membership].argmax(axis=1) == own
    present = np.unique(own)
    recall = mean_recall(
        np.array([right[own == label].sum() for label in present], dtype=np.float64),
        np.array([(own == label).sum() for label in present], dtype=np.float64),
    )
    if recall.low is not None and recall.low <= 1 / max(2, len(present)):
        told.append(say("doubt.guessing", accuracy=f"{recall.value:.2f}"))
    return told
