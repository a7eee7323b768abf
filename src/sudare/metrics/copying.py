"""How close released items are to the items they were made from: diagnostics, not a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import Float32Array, FloatArray, IntArray
from sudare.core.errors import AuditError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_TINY = 1e-8
_BLOCK = 1024


def nearest(
    items: Float[Float32Array | FloatArray, "a d"],
    among: Float[Float32Array | FloatArray, "b d"],
    *,
    k: int = 1,
) -> tuple[Float[FloatArray, "a k"], Int[IntArray, "a k"]]:
    """Euclidean distances to the k nearest, ascending, and which they are.

    Neighbours are found by a matrix product; their distances are then computed from the
    difference, so that a copy is at distance 0 and not at a rounding error. Equal distances
    are in the order of ``among``.

    Raises:
        AuditError: Fewer than k items to be near to.
    """
    if len(among) < k:
        raise AuditError(f"{k} neighbours cannot be found among {len(among)} items")
    among = np.asarray(among, dtype=np.float64)
    centre = among.mean(axis=0)
    base = among - centre
    norms = np.einsum("ij,ij->i", base, base)
    # A few more than k, so that rounding cannot push out one that belongs to them.
    wanted = min(len(among), k + 4)
    distances = np.empty((len(items), k))
    index = np.empty((len(items), k), dtype=np.int64)
    for start in range(0, len(items), _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = np.asarray(items[rows], dtype=np.float64)
        products = norms - 2 * (block - centre) @ base.T
        found = np.sort(np.argpartition(products, wanted - 1, axis=1)[:, :wanted], axis=1)
        exact = np.stack(
            [np.linalg.norm(block - among[found[:, n]], axis=1) for n in range(wanted)],
            axis=1,
        )
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        distances[rows] = np.take_along_axis(exact, order, axis=1)
        index[rows] = np.take_along_axis(found, order, axis=1)
    return distances, index


def closer_to_members(
    to_members: Float[FloatArray, " m"], to_holdout: Float[FloatArray, " m"]
) -> float:
    """Share of released items nearer to a member than to a holdout of the same size.

    A half means that the release is no nearer to what it was made from than to other images
    of the same kind; a tie counts a half.

    >>> closer_to_members(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
    0.5
    """
    closer = (to_members < to_holdout) + 0.5 * (to_members == to_holdout)
    return float(np.mean(closer))


def nearness_ratio(
    to_members: Float[FloatArray, "m 2"], to_holdout: Float[FloatArray, "m 2"]
) -> float:
    """NNDR among members over NNDR in the holdout: 1 is ideal, below 1 hints at copies.

    NNDR is the distance to the nearest over that to the second nearest, averaged over the
    released items: an item that copies one image is much nearer to it than to any other.
    """
    inside, outside = (
        float(np.mean((d[:, 0] + _TINY) / (d[:, 1] + _TINY))) for d in (to_members, to_holdout)
    )
    return inside / outside


def authenticity(
    to_members: Float[FloatArray, " m"],
    which: Int[IntArray, " m"],
    between_members: Float[FloatArray, " n"],
) -> float:
    """Share of released items farther from their nearest member than that is from its own.

    Args:
        to_members: Distance of each released item to its nearest member.
        which: Which member that is.
        between_members: Distance of each member to its nearest other member.

    Source:
        Alaa et al. 2022, "How faithful is your synthetic data?", section 3.3.
    """
    return float(np.mean(to_members > between_members[which]))


def copying_score(
    released: Float[FloatArray, " m"],
    holdout: Float[FloatArray, " p"],
    released_cells: Int[IntArray, " m"],
    holdout_cells: Int[IntArray, " p"],
    *,
    least: int = 5,
) -> float | None:
    """C_T: are released items nearer to members than images of a holdout are? Below 0 they are.

    In each cell, the Mann-Whitney statistic of the two sets of distances as a number of
    standard deviations; averaged over cells by their share of the holdout. At -3 chance is
    no longer an explanation; far above 0 the items are far from all real images.

    Args:
        released: Distance of each released item to the nearest member of its cell.
        holdout: The same for each holdout image.
        released_cells: Cell of each released item, such as its class.
        holdout_cells: Cell of each holdout image.
        least: Released items a cell must have to count.

    Returns:
        The score, or None if no cell has enough items.

    Source:
        Meehan, Chaudhuri and Dasgupta 2020, "A non-parametric test to detect data-copying in
        generative models", section 3.
    """
    from scipy.stats import rankdata

    total = weight = 0.0
    for cell in np.unique(holdout_cells):
        ours, theirs = released[released_cells == cell], holdout[holdout_cells == cell]
        m, p = len(ours), len(theirs)
        if m < least:
            continue
        ranks = rankdata(np.concatenate([ours, theirs]))
        u = ranks[:m].sum() - m * (m + 1) / 2
        z = (u - m * p / 2) / np.sqrt(m * p * (m + p + 1) / 12)
        total, weight = total + p * z, weight + p
    return float(total / weight) if weight else None
