"""k-same: every released vector is the mean of k images' vectors."""

from __future__ import annotations

import numpy as np
import torch

from sudare.core.arrays import Float32Array, IntArray
from sudare.core.errors import DataError
from sudare.core.seeds import generator
from sudare.releases.card import Statistic
from sudare.releases.samplers import PointsSampler
from sudare.routes.features.config import KSameConfig
from sudare.routes.features.fitting import Fit, Private, rows_of_class

_MOST = 20_000
"""Images whose distances to one another still fit into memory."""


def fit_ksame(private: Private, config: KSameConfig) -> Fit:
    """Group similar images by k, within classes or across, and keep each group's mean.

    Source:
        Newton, Sweeney and Malin 2005, "Preserving privacy by de-identifying face images"
        (k-same); Gross et al. 2005 (within a class); greedy groups from the farthest point as in
        Jeon et al. 2022, "k-SALSA".

    Raises:
        DataError: Fewer than k images in a class (or in all), or too many.
    """
    n, classes = len(private.features), len(private.class_names)
    if n > _MOST:
        raise DataError(
            f"k-same compares all pairs, and {n:,} images are more than {_MOST:,}",
            where=private.name,
            fix="Lower data.pool.",
        )
    if config.within_class:
        parts = [
            rows_of_class(private, label, least=config.k, purpose=f"k-same with k {config.k}")
            for label in range(classes)
        ]
    elif n < config.k:
        raise DataError(f"{n} images are fewer than k = {config.k}", where=private.name)
    else:
        parts = [np.arange(n)]
    groups = np.concatenate(
        [part[greedy_groups(private.features[part], config.k)] for part in parts]
    )
    # Their order would tell which images lie farthest out.
    groups = generator(private.seed, "order").permutation(groups)
    onehot = np.eye(classes, dtype=np.float32)[private.labels]
    weights = onehot[groups].sum(axis=1)
    if not (weights.sum(axis=0) > 0).all():
        missing = private.class_names[int(np.argmin(weights.sum(axis=0)))]
        raise DataError(f"no group holds an image of class {missing!r}", where=private.name)
    sampler = PointsSampler(
        points=torch.from_numpy(private.features[groups].mean(axis=1, dtype=np.float64)).float(),
        weights=torch.from_numpy(weights),
    )
    what = "feature vectors of private images" if config.k == 1 else f"means of {config.k} vectors"
    return Fit(
        sampler=sampler,
        statistics=(
            Statistic(name="points", value=what, status="leak"),
            Statistic(name="size of the private set", value="k times the points", status="leak"),
        ),
        settings={"points": str(len(groups))},
    )


def greedy_groups(features: Float32Array, k: int) -> IntArray:
    """Groups of exactly k rows, ``int64 [n // k, k]``; the last n mod k rows are left out.

    Again and again the row with the largest summed distance to the others that are left is
    grouped with its k - 1 nearest.
    """
    kept = features[: len(features) - len(features) % k].astype(np.float64)
    if k == 1:
        return np.arange(len(kept))[:, None]
    squares = (kept**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * kept @ kept.T, 0.0))
    np.fill_diagonal(distances, 0.0)
    summed, left = distances.sum(axis=1), np.ones(len(kept), dtype=bool)
    groups = []
    for _ in range(len(kept) // k):
        first = int(np.argmax(np.where(left, summed, -np.inf)))
        left[first] = False
        others = np.flatnonzero(left)
        near = others[np.argsort(distances[first, others], kind="stable")[: k - 1]]
        left[near] = False
        group = np.array([first, *near])
        summed = summed - distances[:, group].sum(axis=1)
        groups.append(group)
    return np.array(groups, dtype=np.int64)
