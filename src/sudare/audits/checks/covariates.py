"""What an attacker knows of each image beside its class: components of its pixels."""

from __future__ import annotations

import numpy as np

from sudare.core.arrays import Float32Array
from sudare.data.images import ImageDataset
from sudare.data.splits import AuditSplit

_COMPONENTS = 32
_THUMBNAIL_PX = 64


def covariates_of(split: AuditSplit) -> Float32Array | None:
    """Leading components of all scored images, fitted on the population only."""
    from sklearn.decomposition import PCA

    # Known members come without a population, and an empty array has no number of columns.
    if len(split.population) < 2 * _COMPONENTS:
        return None
    pixels, population = (_thumbnails(part) for part in (split.pool, split.population))
    components = PCA(min(_COMPONENTS, population.shape[1]), svd_solver="randomized", random_state=0)
    components.fit(population)
    both = np.concatenate([components.transform(part) for part in (pixels, population)])
    values: Float32Array = both.astype(np.float32)
    return values


def _thumbnails(part: ImageDataset) -> Float32Array:
    """Flat pixels in 0 to 1; of images above 64 pixels, means over squares."""
    n, channels, height, width = part.images.shape
    factor = -(-max(height, width) // _THUMBNAIL_PX)
    if factor == 1:
        whole = part.images.reshape(n, -1).astype(np.float32)
        whole /= np.float32(255)
        return whole
    rows, columns = height // factor, width // factor
    small = np.empty((n, channels * rows * columns), dtype=np.float32)
    for at in range(n):
        cut = part.images[at, :, : rows * factor, : columns * factor]
        squares = cut.reshape(channels, rows, factor, columns, factor)
        small[at] = squares.mean(axis=(2, 4)).ravel() / 255
    return small
