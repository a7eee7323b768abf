"""Curves and pictures an audit writes for the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sudare.core.arrays import BoolArray, ByteArray, FloatArray
from sudare.core.runs import ClosePair, ExposedImage, RocCurve
from sudare.core.threats import ThreatModel
from sudare.data.images import ImageDataset
from sudare.data.pictures import save_pixels
from sudare.metrics import roc
from sudare.metrics.exposure import exposure

_POINTS = 300


def roc_curve(
    release: str, attack: str, threat: ThreatModel, scores: FloatArray, membership: BoolArray
) -> RocCurve:
    """The exact curve, thinned to points evenly spread over log FPR and over FPR."""
    curve = roc(scores, membership)
    smallest = 1 / int((~membership).sum())
    grid = np.unique(
        np.concatenate([np.geomspace(smallest, 1, _POINTS), np.linspace(0, 1, _POINTS // 3)])
    )
    # The last point at or below each grid value: thinning keeps real points, no interpolation.
    index = np.unique(np.searchsorted(curve.fpr, grid, side="right") - 1)
    index = np.union1d(index, [0, len(curve.fpr) - 1])
    return RocCurve(
        release=release,
        attack=attack,
        threat_model=threat,
        fpr=tuple(round(float(x), 7) for x in curve.fpr[index]),
        tpr=tuple(round(float(x), 7) for x in curve.tpr[index]),
    )


def exposed_images(
    release: str,
    pool: ImageDataset,
    scores: FloatArray,
    membership: BoolArray,
    *,
    folder: Path,
    count: int,
) -> list[ExposedImage]:
    """Write the most exposed pool images as PNG files, one for each unit.

    They are chosen on all builds, which is right for pictures and wrong for numbers.
    """
    exposed = exposure(scores, membership)
    ranks = exposed.argsort().argsort() / max(1, len(exposed) - 1)
    chosen: list[int] = []
    units: set[int] = set()
    for image in np.argsort(-exposed, kind="stable"):
        if int(pool.unit[image]) not in units and len(chosen) < count:
            units.add(int(pool.unit[image]))
            chosen.append(int(image))
    results = []
    for rank, image in enumerate(chosen):
        picture = f"internal/{release}-{rank + 1}.png"
        save_pixels(pool.images[image], folder / picture)
        results.append(
            ExposedImage(
                release=release,
                picture=picture,
                class_name=pool.class_names[int(pool.classes[image])],
                score=float(ranks[image]),
            )
        )
    return results


def close_pairs(
    release: str,
    released: ByteArray,
    pool: ImageDataset,
    pairs: Sequence[tuple[int, int, int, float]],
    *,
    folder: Path,
    count: int,
) -> list[ClosePair]:
    """Write the released images most like a member beside it and the nearest other image.

    Of several released images near one member the nearest is shown.

    Args:
        release: Name of the release.
        released: ``uint8 [m, c, h, w]``, what one build released.
        pool: The images whose membership is in question.
        pairs: Item, column of its nearest member and of the nearest other image, and the ratio of
            the two distances; smallest first.
        folder: Run folder.
        count: Pairs at most.
    """
    shown: dict[int, tuple[int, int, int, float]] = {}
    for pair in pairs:
        shown.setdefault(pair[1], pair)
        if len(shown) == count:
            break
    results = []
    for rank, (item, member, other, _) in enumerate(shown.values()):
        picture = f"internal/{release}-pair-{rank + 1}.png"
        three = (released[item], pool.images[member], pool.images[other])
        save_pixels(_side_by_side(three), folder / picture)
        to_member, to_other = (
            float(np.linalg.norm((released[item].astype(np.float64) - one) / 255))
            for one in three[1:]
        )
        results.append(
            ClosePair(release=release, picture=picture, to_member=to_member, to_other=to_other)
        )
    return results


def _side_by_side(images: tuple[ByteArray, ...]) -> ByteArray:
    """Images in a row with a white pixel or two between them."""
    gap = max(1, images[0].shape[2] // 14)
    white = np.full((*images[0].shape[:2], gap), 255, dtype=np.uint8)
    parts = [part for image in images for part in (image, white)][:-1]
    return np.concatenate(parts, axis=2)
