"""Which private image a released one is, but for what a person would not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from sudare.attacks.nearest_neighbour import Levels, features
from sudare.core.arrays import BoolArray, ByteArray, Float32Array, IntArray

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

NEAR = 0.5
"""A copy is nearer to its image than half its distance to any image it cannot be of."""

_SIDE, _COARSE, _KEPT, _BLANK_LEVELS = 8, 14, 16, 1.0
_QUERIES, _IMAGES, _ITEMS = 4096, 8192, 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """The nearest images of each item, nearest first.

    Attributes:
        columns: ``int64 [m, k]``, which images; -1 where there are no more.
        distances: ``float32 [m, k]``, between contrast-normalised images: the root of
            2 - 2 r, r their correlation; infinite where there are no more.
    """

    columns: Int[IntArray, "m k"]
    distances: Float[Float32Array, "m k"]


def search(items: Levels, images: ByteArray) -> dict[str, Neighbours]:
    """The nearest images of each item in pixels and in features, however it was shifted.

    An item is compared under a flip and every shift of up to two pixels (one, of small images),
    with its mean and contrast taken out on both sides. Candidates come from 8 x 8 thumbnails, so
    that a thousand items against tens of thousands of images take seconds and little memory.
    Images without contrast are nobody's copy.

    Args:
        items: ``[m, c, h, w]`` in grey levels, what was released.
        images: ``uint8 [n, c, h, w]``, of whom membership is in question.

    Returns:
        ``pixels`` and ``features`` to the nearest images there.
    """
    return {"pixels": _in_pixels(items, images), "features": _in_features(items, images)}


def matches(
    found: Neighbours, members: Bool[BoolArray, " n"]
) -> tuple[Bool[BoolArray, " m"], Bool[BoolArray, " m"], Float[Float32Array, " m"]]:
    """Items that are copies of a member, those that as clearly are of none, and the ratio.

    The second are the control group: what an image that was not used is taken for by chance
    (phantoms). Where items copy nobody, members and others are exchangeable, so that there are
    as many of one as of the other.

    Args:
        found: Neighbours of each item.
        members: Who was used.

    Returns:
        ``copies [m]``, ``phantoms [m]`` and distance to the nearest member over that to the
        nearest other image ``[m]``.

    Source:
        "Phantoms and Disclosures", arXiv 2606.16952: matches against a holdout as the control.
    """
    inside = members[found.columns] & (found.columns >= 0)
    outside = ~members[found.columns] & (found.columns >= 0)
    # Where no neighbour is of a side, the nearest of that side is no nearer than the last one.
    finite = np.where(np.isfinite(found.distances), found.distances, -1.0)
    last = np.maximum(finite.max(axis=1, initial=0.0), 1e-6)
    to_member, to_other = (
        np.where(side, found.distances, np.inf).min(axis=1, initial=np.inf)
        for side in (inside, outside)
    )
    to_member, to_other = np.minimum(to_member, last), np.minimum(to_other, last)
    ratio: Float32Array = (to_member / np.maximum(to_other, 1e-6)).astype(np.float32)
    seen = finite.max(axis=1, initial=-1.0) >= 0
    copies = seen & inside.any(axis=1) & (to_member < NEAR * to_other)
    phantoms = seen & outside.any(axis=1) & (to_other < NEAR * to_member)
    return copies, phantoms, ratio


def altered(images: ByteArray, rng: np.random.Generator) -> Float32Array:
    """Copies as somebody would make them: flipped or not, moved by a pixel, dimmed, noised."""
    changed: Float32Array = np.roll(images.astype(np.float32), (1, -1), axis=(2, 3))
    changed[::2] = changed[::2, :, :, ::-1]
    changed = 0.85 * changed + 10
    spread = images.std(axis=(1, 2, 3), keepdims=True) / 10
    noised: Float32Array = changed + (spread * rng.standard_normal(changed.shape)).astype(
        np.float32
    )
    return noised


def _in_pixels(items: Levels, images: ByteArray) -> Neighbours:
    count = min(_KEPT, len(images))
    columns = np.full((len(items), _KEPT), -1, dtype=np.int64)
    distances = np.full((len(items), _KEPT), np.inf, dtype=np.float32)
    if not len(items) or not count:
        return Neighbours(columns=columns, distances=distances)
    reach = 2 if min(images.shape[2:]) >= 16 else 1
    levels = torch.from_numpy(np.ascontiguousarray(items)).float()
    candidates = _candidates(levels, images, reach, count)
    height, width = images.shape[2:]
    for at in range(0, len(items), _ITEMS):
        part = levels[at : at + _ITEMS]
        # Every flip and shift of the item against the middle of the image, which never moves.
        views = torch.stack(
            [
                turned[:, :, down : down + height - 2 * reach, right : right + width - 2 * reach]
                for turned in (part, part.flip(3))
                for down in range(2 * reach + 1)
                for right in range(2 * reach + 1)
            ],
            dim=1,
        )
        own = candidates[at : at + _ITEMS]
        middle = torch.from_numpy(images[own])[
            ..., reach : height - reach, reach : width - reach
        ].float()
        likeness = _contrasts(views.flatten(2)) @ _contrasts(middle.flatten(2)).transpose(1, 2)
        nearest = (2 - 2 * likeness.amax(dim=1)).clamp(min=0).sqrt()
        nearest, order = nearest.sort(dim=1, stable=True)
        rows = slice(at, at + len(part))
        distances[rows, :count] = nearest.numpy()
        columns[rows, :count] = np.take_along_axis(own, order.numpy(), axis=1)
    return Neighbours(columns=columns, distances=distances)


def _candidates(levels: torch.Tensor, images: ByteArray, reach: int, count: int) -> IntArray:
    """The images whose thumbnails are most like one of the item's flips and shifts."""
    steps = (-reach, 0, reach)
    views = torch.stack(
        [
            _thumbnails(_shifted(turned, down, right))
            for turned in (levels, levels.flip(3))
            for down in steps
            for right in steps
        ],
        dim=1,
    )
    per_item = views.shape[1]
    best = torch.full((len(levels), count), -2.0)
    found = torch.zeros((len(levels), count), dtype=torch.int64)
    known = [
        _thumbnails(torch.from_numpy(np.array(images[at : at + _IMAGES])).float())
        for at in range(0, len(images), _IMAGES)
    ]
    rows = max(1, _QUERIES // per_item)
    for at in range(0, len(levels), rows):
        asked = views[at : at + rows].flatten(0, 1)
        for block, thumbnails in enumerate(known):
            likeness = (asked @ thumbnails.T).view(-1, per_item, len(thumbnails)).amax(dim=1)
            top, where = likeness.topk(min(count, likeness.shape[1]), dim=1)
            both = torch.cat([best[at : at + rows], top], dim=1)
            which = torch.cat([found[at : at + rows], where + block * _IMAGES], dim=1)
            best[at : at + rows], order = both.topk(count, dim=1)
            found[at : at + rows] = which.gather(1, order)
    candidates: IntArray = found.numpy()
    return candidates


def _shifted(images: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Moved, with the edge repeated behind it."""
    reach = max(abs(down), abs(right), 1)
    padded = functional.pad(images, (reach,) * 4, mode="replicate")
    height, width = images.shape[2:]
    return padded[:, :, reach + down : reach + down + height, reach + right : reach + right + width]


def _thumbnails(images: torch.Tensor) -> torch.Tensor:
    side = min(_SIDE, images.shape[2], images.shape[3])
    return _contrasts(functional.adaptive_avg_pool2d(images, side).flatten(1))


def _contrasts(vectors: torch.Tensor) -> torch.Tensor:
    """Without mean and of length one; zero where there is no contrast."""
    centred = vectors - vectors.mean(dim=-1, keepdim=True)
    length = centred.norm(dim=-1, keepdim=True)
    blank = length < _BLANK_LEVELS * vectors.shape[-1] ** 0.5
    return torch.where(blank, torch.zeros_like(centred), centred / length.clamp(min=1e-6))


def _in_features(items: Levels, images: ByteArray) -> Neighbours:
    """Nearest in what public random filters see: local shape, to a few pixels."""
    columns = np.full((len(items), _KEPT), -1, dtype=np.int64)
    distances = np.full((len(items), _KEPT), np.inf, dtype=np.float32)
    count = min(_KEPT, len(images))
    if not len(items) or not count:
        return Neighbours(columns=columns, distances=distances)
    asked = [
        _contrasts_of(features(_coarser(turned.copy()))) for turned in (items, items[:, :, :, ::-1])
    ]
    best = torch.full((len(items), count), -2.0)
    found = torch.zeros((len(items), count), dtype=torch.int64)
    for at in range(0, len(images), _IMAGES):
        known = _contrasts_of(features(_coarser(images[at : at + _IMAGES])))
        likeness = torch.maximum(*(side @ known.T for side in asked))
        top, where = likeness.topk(min(count, likeness.shape[1]), dim=1)
        best, order = torch.cat([best, top], dim=1).topk(count, dim=1)
        found = torch.cat([found, where + at], dim=1).gather(1, order)
    distances[:, :count] = (2 - 2 * best).clamp(min=0).sqrt().numpy()
    columns[:, :count] = found.numpy()
    # A blank image has features too, and is nobody's copy.
    blank = items.reshape(len(items), -1).std(axis=1) < _BLANK_LEVELS
    distances[blank], columns[blank] = np.inf, -1
    return Neighbours(columns=columns, distances=distances)


def _coarser(images: Levels) -> Levels:
    """At a side of 14 to 27 pixels: what is alike to the eye is alike there, in less time."""
    factor = min(images.shape[2:]) // _COARSE
    if factor < 2:
        return images
    height, width = (side // factor * factor for side in images.shape[2:])
    tiles = images[:, :, :height, :width].reshape(
        *images.shape[:2], height // factor, factor, width // factor, factor
    )
    coarser: Float32Array = tiles.mean(axis=(3, 5), dtype=np.float32)
    return coarser


def _contrasts_of(values: Float32Array) -> torch.Tensor:
    vectors = torch.from_numpy(values)
    centred = vectors - vectors.mean(dim=1, keepdim=True)
    return functional.normalize(centred, dim=1)
