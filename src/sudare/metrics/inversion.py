"""How near inverted images come to real ones, in the features of an evaluation net."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sudare.core.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class Prdc(NamedTuple):
    """Fidelity (precision, density) and variety (recall, coverage)."""

    precision: float
    recall: float
    density: float
    coverage: float


def same_class_distance(
    made: Float[FloatArray, "n d"],
    made_labels: Int[IntArray, " n"],
    real: Float[FloatArray, "m d"],
    real_labels: Int[IntArray, " m"],
) -> tuple[Float[FloatArray, " n"], Int[IntArray, " n"]]:
    """Squared distance of each to the nearest real one of its class, and which that is.

    NaN and -1 where the class has no real one.
    """
    nearest, which = np.full(len(made), np.nan), np.full(len(made), -1, dtype=np.int64)
    for label in np.unique(made_labels):
        mine, theirs = np.flatnonzero(made_labels == label), np.flatnonzero(real_labels == label)
        if len(theirs):
            apart = _squared(made[mine], real[theirs])
            which[mine] = theirs[apart.argmin(axis=1)]
            nearest[mine] = apart.min(axis=1)
    return nearest, which


def frechet_distance(made: Float[FloatArray, "n d"], real: Float[FloatArray, "m d"]) -> float:
    """Squared 2-Wasserstein distance of two Gaussians with these means and covariances.

    Source:
        Heusel et al. 2017, eq. 6; here in the features of a net of the domain, not of Inception.
        Biased upwards for few images: compare only at equal counts.
    """
    means = made.mean(axis=0) - real.mean(axis=0)
    one, two = np.cov(made, rowvar=False), np.cov(real, rowvar=False)
    one, two = np.atleast_2d(one), np.atleast_2d(two)
    values, vectors = np.linalg.eigh(one)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    # The trace of the root of one * two is that of a symmetric product.
    inner = np.sqrt(np.clip(np.linalg.eigvalsh(root @ two @ root), 0, None)).sum()
    return float(max(0.0, means @ means + np.trace(one) + np.trace(two) - 2 * inner))


def prdc(real: Float[FloatArray, "m d"], made: Float[FloatArray, "n d"], *, k: int = 3) -> Prdc:
    """Precision, recall, density and coverage with balls to the k-th neighbour.

    Precision: share of made images in *any* real one's ball (and recall the reverse); density:
    real balls around a made image over k, mean over made images; coverage: share of real balls
    with a made image inside.

    Args:
        real: Features of real images, more than k.
        made: Features of made images, more than k.
        k: Which neighbour a ball reaches to.

    Source:
        Kynkaanniemi et al. 2019; Naeem et al. 2020, eqs. 3 and 4. (A public inversion code tests
        only the nearest ball and averages density over real images.)
    """
    # The nearest neighbour of an image among its own kind is itself.
    reach_real = np.partition(_squared(real, real), k, axis=1)[:, k]
    reach_made = np.partition(_squared(made, made), k, axis=1)[:, k]
    between = _squared(made, real)
    in_real = between <= reach_real[None, :]
    return Prdc(
        precision=float(in_real.any(axis=1).mean()),
        recall=float((between <= reach_made[:, None]).any(axis=0).mean()),
        density=float(in_real.sum(axis=1).mean() / k),
        coverage=float(in_real.any(axis=0).mean()),
    )


def _squared(one: FloatArray, two: FloatArray) -> FloatArray:
    apart = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1)[None] - 2 * one @ two.T
    squared: FloatArray = np.clip(apart, 0, None)
    return squared
