"""Scores that somebody computed elsewhere, and the file they come in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sudare.core.archives import ArrayFile
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.errors import AuditError, DataError
from sudare.core.files import UNREADABLE
from sudare.core.printable import escaped

_SCORE_FILE = ("scores", "membership", "units")
_TABLE, _MOST_NUMBERS = 2, 20_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenTable:
    """Scores somebody computed elsewhere.

    Attributes:
        scores: ``float64 [N, n]``, higher for members; N models, often one.
        membership: ``bool [N, n]``.
        units: ``int64 [n]``.
    """

    scores: FloatArray
    membership: BoolArray
    units: IntArray


def read_scores(path: Path) -> GivenTable:
    """Scores from an .npz file with arrays ``scores``, ``membership`` and perhaps ``units``.

    ``[n]`` for one model or ``[N, n]`` for several.

    Raises:
        AuditError: A file that is none, or arrays that do not fit.
    """
    try:
        file = ArrayFile(path)
        _refuse_size(file, path)
        arrays = {name: file[name] for name in _SCORE_FILE if name in file}
        scores = arrays.get("scores", np.empty(0)).astype(np.float64)
    except DataError as error:
        raise AuditError(f"the scores cannot be read: {error.what}", where=str(path)) from error
    except UNREADABLE as error:
        raise AuditError(f"the scores cannot be read: {error}", where=str(path)) from error
    if not {"scores", "membership"} <= set(arrays):
        raise AuditError(
            f"the file holds {', '.join(map(escaped, sorted(file.names))) or 'nothing'}",
            where=str(path),
            fix="Write it with numpy.savez(path, scores=..., membership=...).",
        )
    return given_table(scores, arrays["membership"], units=arrays.get("units"), where=str(path))


def _refuse_size(file: ArrayFile, path: Path) -> None:
    """Refuse arrays by what their headers promise, before any of them is read.

    Raises:
        AuditError: More numbers than anybody audits at once, or shapes that do not fit.
    """
    sizes = {name: math.prod(file.shape(name)) for name in _SCORE_FILE if name in file}
    largest = max(sizes, key=lambda name: sizes[name], default="")
    if largest and sizes[largest] > _MOST_NUMBERS:
        raise AuditError(
            f"{largest} holds {sizes[largest]:,} numbers",
            where=str(path),
            fix=f"At most {_MOST_NUMBERS:,} are audited at once: take a part of the records.",
        )
    if "scores" in sizes and sizes.get("membership", sizes["scores"]) != sizes["scores"]:
        raise AuditError(
            f"{sizes['scores']:,} scores and {sizes['membership']:,} memberships do not fit",
            where=str(path),
        )


def given_table(
    scores: npt.ArrayLike,
    membership: npt.ArrayLike,
    *,
    units: npt.ArrayLike | None = None,
    where: str = "",
) -> GivenTable:
    """Scores with who was a member, checked.

    Args:
        scores: ``[n]`` for one model, ``[N, n]`` for several; higher for members.
        membership: Of the same shape, true or 1 for members.
        units: What is drawn together, numbers or text ``[n]``; every record by itself if None.
        where: Where they come from, for messages.

    Raises:
        AuditError: Arrays that do not fit, or a model without members or without others.
    """
    scores, membership = np.asarray(scores, dtype=np.float64), np.asarray(membership)
    # A column is one model's records, not as many models of one record.
    scores, membership = (
        np.atleast_2d(one.ravel() if one.ndim == _TABLE and one.shape[1] == 1 else one)
        for one in (scores, membership)
    )
    units = np.arange(scores.shape[1]) if units is None else np.asarray(units)
    # Names of patients, or numbers of any kind: what differs is another unit.
    if units.dtype.kind in "iufUSb" and units.ndim == 1:
        units = np.unique(units, return_inverse=True)[1]
    if membership.shape != scores.shape or units.shape != scores.shape[1:]:
        raise AuditError(
            f"scores {scores.shape}, membership {membership.shape} and units {units.shape} do "
            "not fit",
            where=where,
        )
    for name, fits in (("score", np.isfinite(scores)), ("membership", np.isin(membership, (0, 1)))):
        if not fits.all():
            row = int(np.nonzero(~fits)[1][0])
            what = "not finite" if name == "score" else "neither 0 nor 1"
            raise AuditError(f"the {name} of record {row} is {what}", where=where)
    if not (membership.any(axis=1) & ~membership.all(axis=1).astype(bool)).all():
        raise AuditError("each model needs members and non-members", where=where)
    return GivenTable(
        scores=scores, membership=membership.astype(bool), units=units.astype(np.int64)
    )
