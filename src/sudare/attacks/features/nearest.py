"""Nearness to drawn samples: what a member's own features pull towards themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, Float32Array, FloatArray, IntArray
from sudare.metrics import nearest

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


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
            found[rows] = nearest(features[rows], own)[0][:, 0]
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
    # The first neighbour of an image is the image itself.
    k = min(neighbours, len(features) - 1)
    radius = nearest(features, features, k=k + 1)[0][:, k]
    inside: BoolArray = nearest(features, samples)[0][:, 0] <= radius
    return inside
