"""Duplicates: the same picture twice, to the pixel or nearly, found before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import BoolArray, ByteArray, Float32Array, FloatArray, IntArray
from sudare.core.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    from jaxtyping import Bool, Int, UInt8

NEAR_RMS = 4.0
"""Root mean square difference, in grey levels of 255, up to which two pictures are one."""

_USUAL_CONTRAST = 32.0
"""Standard deviation of a picture, in grey levels, below which that difference shrinks with it."""

_NEAR_SHARE = 1e-3
"""The same for records that are no pictures, as a share of their standard deviation."""

_MOST_COMPARED = 20_000
_BLOCK = 1024
_REACHED = 8192
_SAMPLE, _ROUNDS = 2048, 8


def near_rms(images: UInt8[ByteArray, "n c h w"]) -> float:
    """The difference up to which two of these pictures are one, by their own contrast.

    Dark or sparse pictures differ by less: at a fixed number of grey levels all of them are one.
    """
    if not len(images):
        return NEAR_RMS
    sample = images[:: max(1, len(images) // _SAMPLE)].astype(np.float32)
    contrast = float(np.median(sample.std(axis=(1, 2, 3))))
    return NEAR_RMS * min(1.0, contrast / _USUAL_CONTRAST)


def exact_clusters(images: UInt8[ByteArray, "n c h w"]) -> Int[IntArray, " n"]:
    """Number images so that identical ones share a number, in order of first appearance."""
    return _by_bytes(images)


def duplicate_clusters(
    images: UInt8[ByteArray, "n c h w"], *, rms: float | None = None
) -> Int[IntArray, " n"]:
    """Number images so that exact and near-duplicates share a number (single linkage).

    Args:
        images: ``uint8 [n, c, h, w]``.
        rms: Root mean square pixel difference, in grey levels, up to which two are linked; by
            their own contrast if None.

    Returns:
        ``int64 [n]``, cluster numbers without gaps.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(images)
    rows, columns = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    limit = near_rms(images) if rms is None else rms
    for left, right in _near_pairs(images, images, limit):
        rows.append(left)
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
    rms: float | None = None,
) -> Bool[BoolArray, " n"]:
    """Which images have an exact or near-duplicate among the reference images.

    Args:
        images: ``uint8 [n, c, h, w]``.
        reference: ``uint8 [m, c, h, w]``.
        rms: As in ``duplicate_clusters``; by the contrast of the reference if None.
    """
    found = np.zeros(len(images), dtype=bool)
    limit = near_rms(reference) if rms is None else rms
    for rows, _ in _near_pairs(images, reference, limit):
        found[rows] = True
    return found


def _near_pairs(
    images: ByteArray, reference: ByteArray, rms: float
) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows of images and of the reference that are near each other, block by block."""
    if images.shape[1:] != reference.shape[1:]:
        raise DataError(
            f"images of shape {images.shape[1:]} cannot be compared with {reference.shape[1:]}"
        )
    if not len(images) or not len(reference):
        return
    mean = reference.reshape(len(reference), -1).mean(axis=0, dtype=np.float64)
    size = math.prod(images.shape[1:])
    limit = rms**2 * size + 0.5
    # Two images are as far apart as their places along a line, at least: after sorting along the
    # line on which images differ most, each is compared with its neighbours only.
    line = _widest_line(reference, mean)
    mine, theirs = _along(images, mean, line), _along(reference, mean, line)
    rows, columns = np.argsort(mine, kind="stable"), np.argsort(theirs, kind="stable")
    mine, theirs = mine[rows], theirs[columns]
    # What float32 may be wrong by, of an image as long as any can be.
    reach = math.sqrt(limit) + 1e-5 * 255 * math.sqrt(size)
    for start in range(0, len(rows), _BLOCK):
        own = rows[start : start + _BLOCK]
        first = int(np.searchsorted(theirs, mine[start] - reach))
        last = int(np.searchsorted(theirs, mine[start + len(own) - 1] + reach, side="right"))
        left = _centred(images[own], mean)
        squared_left = np.einsum("ij,ij->i", left, left)[:, None]
        for begin in range(first, last, _REACHED):
            others = columns[begin : min(begin + _REACHED, last)]
            right = _centred(reference[others], mean)
            # |a - b|^2 = |a|^2 + |b|^2 - 2ab; centring by the mean image keeps float32 exact
            # enough.
            squared = squared_left + np.einsum("ij,ij->i", right, right) - 2 * left @ right.T
            near_left, near_right = np.nonzero(squared <= limit)
            yield own[near_left], others[near_right]


def _widest_line(reference: ByteArray, mean: FloatArray) -> Float32Array:
    """A direction, ``[d]`` of length 1, along which images differ much: any would do."""
    some = _centred(reference[:: -(-len(reference) // _SAMPLE)], mean)
    line = some[np.einsum("ij,ij->i", some, some).argmax()]
    for _ in range(_ROUNDS):
        length = float(np.linalg.norm(line))
        if length == 0:
            return np.full(len(mean), len(mean) ** -0.5, dtype=np.float32)
        line = (some @ (line / length)) @ some
    widest: Float32Array = line / np.linalg.norm(line)
    return widest


def _along(images: ByteArray, mean: FloatArray, line: Float32Array) -> FloatArray:
    blocks = range(0, len(images), _BLOCK)
    places = [_centred(images[start : start + _BLOCK], mean) @ line for start in blocks]
    along: FloatArray = np.concatenate(places).astype(np.float64)
    return along


def _centred(images: ByteArray, mean: FloatArray) -> Float32Array:
    return (images.reshape(len(images), -1) - mean).astype(np.float32)


def _by_bytes(records: npt.NDArray[np.generic]) -> IntArray:
    seen: dict[bytes, int] = {}
    return np.array(
        [seen.setdefault(record.tobytes(), len(seen)) for record in records], dtype=np.int64
    )
