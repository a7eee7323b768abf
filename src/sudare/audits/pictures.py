"""Curves and pictures an audit writes for the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sudare.attacks.membership.exposure import exposure
from sudare.core.arrays import BoolArray, FloatArray
from sudare.core.runs import ExposedImage, RocCurve
from sudare.core.threats import ThreatModel
from sudare.data.images import ImageDataset
from sudare.metrics import roc

__all__ = ["exposed_images", "roc_curve"]

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
    from PIL import Image

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
        pixels = pool.images[image]
        picture = f"internal/{release}-{rank + 1}.png"
        target = folder / picture
        target.parent.mkdir(parents=True, exist_ok=True)
        array = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(array)).save(target)
        results.append(
            ExposedImage(
                release=release,
                picture=picture,
                class_name=pool.class_names[int(pool.classes[image])],
                score=float(ranks[image]),
            )
        )
    return results
