"""A Gaussian for each class: principal directions plus a diagonal."""

from __future__ import annotations

import numpy as np
import torch

from sudare.core.arrays import Float32Array
from sudare.releases.card import Statistic
from sudare.releases.samplers import GaussianSampler
from sudare.routes.features.config import GaussianConfig
from sudare.routes.features.fitting import Fit, Private, rows_of_class

_LEAST_SCALE = 1e-3
"""Of a number that never varies; half precision can still hold it."""


def fit_gaussian(private: Private, config: GaussianConfig) -> Fit:
    """Mean, leading eigenvectors of the covariance, and what variance these leave out.

    The variance of each number is exactly that of the images: what the directions take is
    taken off the diagonal. The rank is cut to one direction for ``images_per_rank`` images.

    Raises:
        DataError: A class with fewer than two images.
    """
    dim, classes = private.features.shape[1], len(private.class_names)
    parts, ranks = [], []
    for label in range(classes):
        rows = rows_of_class(private, label, least=2, purpose="a covariance")
        rank = min(config.rank, len(rows) // config.images_per_rank, dim)
        parts.append(_of_class(private.features[rows].astype(np.float64), rank))
        ranks.append(rank)
    widest = max(ranks)
    factor = np.zeros((classes, dim, widest), dtype=np.float32)
    for label, (_, _, own) in enumerate(parts):
        factor[label, :, : own.shape[1]] = own
    sampler = GaussianSampler(
        mean=torch.from_numpy(np.stack([mean for mean, _, _ in parts])),
        scale=torch.from_numpy(np.stack([scale for _, scale, _ in parts])),
        factor=torch.from_numpy(factor) if widest else None,
    )
    told = "mean and covariance of each class's features"
    return Fit(
        sampler=sampler,
        statistics=(Statistic(name="parameters", value=told, status="leak"),),
        settings={"rank": ", ".join(map(str, ranks))},
    )


def _of_class(features: np.ndarray, rank: int) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Mean ``[d]``, scale ``[d]`` and factor ``[d, rank]`` of one class, ``float64`` inside."""
    mean = features.mean(axis=0)
    centred = (features - mean) / np.sqrt(len(features) - 1)
    variance = (centred**2).sum(axis=0)
    factor = np.zeros((features.shape[1], 0))
    if rank:
        # Right singular vectors of n x d: no d x d matrix is needed.
        _, values, directions = np.linalg.svd(centred, full_matrices=False)
        factor = directions[:rank].T * values[:rank]
    left = np.maximum(variance - (factor**2).sum(axis=1), 0.0)
    scale = np.maximum(np.sqrt(left), _LEAST_SCALE)
    return mean.astype(np.float32), scale.astype(np.float32), factor.astype(np.float32)
