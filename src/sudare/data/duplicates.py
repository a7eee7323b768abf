"""Duplicates: the same picture twice, to the pixel or nearly, found before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, ByteArray, Float32Array, FloatArray, IntArray
from sudare.core.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    from jaxtyping import Bool, Int, UInt8

__all__ = [
    "NEAR_RMS",
    "duplicate_clusters",
    "exact_clusters",
    "near_matches",
    "record_clusters",
]

NEAR_RMS = 4.0
"""Root mean square difference, in grey levels of 255, up to which two pictures are one."""

_NEAR_SHARE = 1e-3
"""The same for records that are no pictures, as a share of their standard deviation."""

_MOST_COMPARED = 20_000
_BLOCK = 2048


def exact_clusters(images: UInt8[ByteArray, "n c h w"]) -> Int[IntArray, " n"]:
    """Number images so that identical ones share a number, in order of first appearance."""
    return _by_bytes(images)


def duplicate_clusters(
    images: UInt8[ByteArray, "n c h w"], *, rms: float = NEAR_RMS
) -> Int[IntArray, " n"]:
    """Number images so that exact and near-duplicates share a number (single linkage).

    Args:
        images: ``uint8 [n, c, h, w]``.
        rms: Root mean square pixel difference, in grey levels, up to which two are linked.

    Returns:
        ``int64 [n]``, cluster numbers without gaps.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(images)
    rows, columns = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for start, near in _near_blocks(images, images, rms):
        left, right = np.nonzero(near)
        rows.append(left + start)
        columns.append(right)
    row, column = np.concatenate(rows), np.concatenate(columns)
    links = coo_array((np.ones(len(row), dtype=bool), (row, column)), shape=(n, n))
    clusters = connected_components(links, directed=False)[1]
    return clusters.astype(np.int64)


def record_clusters(records: npt.NDArray[np.generic]) -> Int[IntArray, " n"]:
    """Number records of any kind so that equal and nearly equal ones share a number.

    Pictures (``uint8 [n, c, h, w]``) as ``duplicate_clusters`` does; numbers if they differ by less
    than a thousandth of the standard deviation of all. Above 20,000 records only equal ones.

    Args:
        records: ``[n, ...]``.
    """
    if records.dtype == np.uint8 and records.ndim == 4 and len(records) <= _MOST_COMPARED:
        return duplicate_clusters(records.astype(np.uint8))
    if records.dtype.kind not in "iuf" or len(records) > _MOST_COMPARED:
        return _by_bytes(records)
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import radius_neighbors_graph

    flat = records.reshape(len(records), -1).astype(np.float64)
    spread = float(flat.std())
    if not np.isfinite(spread) or spread == 0:
        return _by_bytes(records)
    radius = _NEAR_SHARE * spread * flat.shape[1] ** 0.5
    graph = radius_neighbors_graph(flat, radius, include_self=True)
    clusters: IntArray = connected_components(graph, directed=False)[1].astype(np.int64)
    return clusters


def near_matches(
    images: UInt8[ByteArray, "n c h w"],
    reference: UInt8[ByteArray, "m c h w"],
    *,
    rms: float = NEAR_RMS,
) -> Bool[BoolArray, " n"]:
    """Which images have an exact or near-duplicate among the reference images."""
    found = np.zeros(len(images), dtype=bool)
    for start, near in _near_blocks(images, reference, rms):
        found[start : start + len(near)] = near.any(axis=1)
    return found


def _near_blocks(
    images: ByteArray, reference: ByteArray, rms: float
) -> Iterator[tuple[int, BoolArray]]:
    if images.shape[1:] != reference.shape[1:]:
        raise DataError(
            f"images of shape {images.shape[1:]} cannot be compared with {reference.shape[1:]}"
        )
    if not len(images) or not len(reference):
        return
    # |a - b|^2 = |a|^2 + |b|^2 - 2ab; centring by the mean image keeps float32 exact enough.
    mean = reference.reshape(len(reference), -1).mean(axis=0, dtype=np.float64)
    right = _centred(reference, mean)
    right_norm = np.einsum("ij,ij->i", right, right)
    limit = rms**2 * right.shape[1]
    for start in range(0, len(images), _BLOCK):
        left = _centred(images[start : start + _BLOCK], mean)
        squared = np.einsum("ij,ij->i", left, left)[:, None] + right_norm - 2 * left @ right.T
        yield start, squared <= limit + 0.5


def _centred(images: ByteArray, mean: FloatArray) -> Float32Array:
    return (images.reshape(len(images), -1) - mean).astype(np.float32)


def _by_bytes(records: npt.NDArray[np.generic]) -> IntArray:
    seen: dict[bytes, int] = {}
    return np.array(
        [seen.setdefault(record.tobytes(), len(seen)) for record in records], dtype=np.int64
    )
