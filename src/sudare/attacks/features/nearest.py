"""Nearness to drawn samples: what a member's own features pull towards themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, Float32Array, FloatArray, IntArray

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["covered", "nearest_distance"]


def nearest_distance(
    features: Float[Float32Array, "n d"],
    labels: Int[IntArray, " n"],
    samples: Float[Float32Array, "m d"],
    of_class: Int[IntArray, " m"],
) -> Float[FloatArray, " n"]:
    """Distance of each image to the nearest sample of its own class; infinite where none is.

    Source:
        Chen et al. 2020, "GAN-Leaks", full black box.
    """
    found = np.full(len(features), np.inf)
    for label in np.unique(labels):
        rows, own = labels == label, samples[of_class == label]
        if len(own):
            found[rows] = _distances(features[rows], own).min(axis=1)
    return found


def covered(
    features: Float[Float32Array, "n d"],
    samples: Float[Float32Array, "m d"],
    *,
    neighbours: int = 5,
) -> Bool[BoolArray, " n"]:
    """Whether a sample lies nearer to each image than its k-th neighbour among the images.

    Source:
        Naeem et al. 2020, "Reliable fidelity and diversity metrics" (coverage).
    """
    among = _distances(features, features)
    k = min(neighbours, len(features) - 1)
    radius = np.partition(among, k, axis=1)[:, k]
    inside: BoolArray = _distances(features, samples).min(axis=1) <= radius
    return inside


def _distances(a: Float32Array, b: Float32Array) -> FloatArray:
    """Euclidean distances, ``float64 [n, m]``."""
    left, right = a.astype(np.float64), b.astype(np.float64)
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    distances: FloatArray = np.sqrt(np.maximum(squares, 0.0))
    return distances
