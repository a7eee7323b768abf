"""How near an image is to the nearest released one, in pixels and in features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np

from sudare.attacks.signals import Signal
from sudare.core.arrays import ByteArray, Float32Array, FloatArray, IntArray
from sudare.core.scores import Scale
from sudare.metrics import nearest
from sudare.releases.kinds import SetView, View

if TYPE_CHECKING:
    from jaxtyping import Float

Levels: TypeAlias = ByteArray | Float32Array
"""Images ``[n, c, h, w]`` in grey levels 0 to 255."""

_MOST_VALUES = 2**26
"""Pixels held at once as real numbers: 256 MiB."""

_FILTERS = 32
_BATCH = 512


class NearestPixels(Signal[SetView]):
    """Euclidean distance to the nearest released image, of pixels in 0 to 1."""

    name: ClassVar[str] = "nearest_pixels"
    scale: ClassVar[Scale] = Scale.DISTANCE
    view: ClassVar[type[View]] = SetView

    def _measure(self, view: SetView, images: ByteArray, labels: IntArray, seed: int) -> FloatArray:
        released = pixels(view.images)
        rows = max(1, _MOST_VALUES // released.shape[1])
        parts = [
            nearest(pixels(images[at : at + rows]), released)[0]
            for at in range(0, len(images), rows)
        ]
        return np.concatenate(parts)


class NearestFeatures(Signal[SetView]):
    """Euclidean distance to the nearest released image in the space of ``features``."""

    name: ClassVar[str] = "nearest_features"
    scale: ClassVar[Scale] = Scale.DISTANCE
    view: ClassVar[type[View]] = SetView

    def _measure(self, view: SetView, images: ByteArray, labels: IntArray, seed: int) -> FloatArray:
        return nearest(features(images), features(view.images))[0]


def pixels(images: Levels) -> Float[Float32Array, "n d"]:
    """Flat pixels in 0 to 1."""
    flat: Float32Array = images.reshape(len(images), -1).astype(np.float32)
    flat /= np.float32(255)
    return flat


def features(images: Levels) -> Float[Float32Array, "n d"]:
    """Responses of public random filters, half-rectified and pooled on a 4 x 4 grid.

    They look at local shape and bear a shift of some pixels, which distances of pixels do not.
    Nothing was trained, so that the space itself has seen neither private nor released images.
    """
    import torch

    from sudare.nets.random_features import RandomFeatures

    net = RandomFeatures((images.shape[1], *images.shape[2:]), 1, width=_FILTERS)
    parts: list[Float32Array] = [np.empty((0, net.classifier.in_features), dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(pixels(images[start : start + _BATCH]))
            parts.append(net.embed(batch.view(-1, *images.shape[1:])).numpy())
    whole: Float32Array = np.concatenate(parts)
    return whole
