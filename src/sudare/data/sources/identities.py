"""A procedural set of people: drawn faces whose identity is a handful of known numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import ByteArray, FloatArray, IntArray
from sudare.core.seeds import generator
from sudare.data.images import ImageDataset
from sudare.data.sources.catalogue import CATALOGUE
from sudare.data.sources.source import Request, Source, assemble

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

PARAMETERS = (
    "face-width",
    "face-height",
    "skin",
    "hair",
    "hairline",
    "eye-distance",
    "eye-size",
    "brow-angle",
    "nose-length",
    "mouth-width",
)
"""What an identity is made of; each lies between 0 and 1, in thousandths as an attribute."""

_PEOPLE, _TRAIN, _TEST, _SIDE = 200, 100, 10, 32
_CHUNK = 2000
_EDGE = 14.0
"""How sharp edges are: a part fades out over about a pixel."""


def identities(request: Request) -> Source:
    """200 people of 100 training and 10 test images each, 32 px, grey.

    A person is ten numbers (``PARAMETERS``); an image adds position, size, tilt, light, an open
    mouth, a background and noise. The numbers are attributes ``parameter-...`` of every image, so
    that the error of a recovered identity is known exactly.
    """
    people = generator(0, "identities").uniform(size=(_PEOPLE, len(PARAMETERS)))
    splits, owners = {}, []
    for name, each in (("train", _TRAIN), ("test", _TEST)):
        who = np.repeat(np.arange(_PEOPLE), each)
        splits[name] = (draw_faces(people[who], generator(0, "faces", name)), who)
        owners.append(who)
    entry = CATALOGUE["identities"]
    source = assemble(
        splits,
        class_names=tuple(f"person {index + 1:03}" for index in range(_PEOPLE)),
        name="identities",
        licence=entry.licence,
        source=entry.source,
        image_size=request.image_size,
    )
    test = source.test
    return replace(
        source,
        train=_with_parameters(source.train, people, owners[0]),
        test=None if test is None else _with_parameters(test, people, owners[1]),
    )


def parameters_of(data: ImageDataset) -> Float[FloatArray, "n p"] | None:
    """What identities are made of, for each image; None where that is not known."""
    names = [f"parameter-{name}" for name in PARAMETERS]
    if any(name not in data.attributes for name in names):
        return None
    return np.stack([data.attributes[name] for name in names], axis=1) / 1000


def draw_faces(
    people: Float[FloatArray, "n p"], rng: np.random.Generator
) -> UInt8[ByteArray, "n 1 32 32"]:
    """An image of each row, with nuisances of its own.

    Args:
        people: Numbers of each identity in 0 to 1, in the order of ``PARAMETERS``.
        rng: Source of the nuisances.
    """
    parts = [_draw(people[at : at + _CHUNK], rng) for at in range(0, len(people), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros((0, 1, _SIDE, _SIDE), dtype=np.uint8)


def _draw(people: FloatArray, rng: np.random.Generator) -> ByteArray:
    n = len(people)
    own = dict(zip(PARAMETERS, people.T[:, :, None, None], strict=True))

    def nuisance(low: float, high: float) -> FloatArray:
        return rng.uniform(low, high, size=(n, 1, 1))

    line = (np.arange(_SIDE) + 0.5) / _SIDE * 2 - 1
    row, column = line[None, :, None], line[None, None, :]
    # Where each pixel lies on an upright face in the middle.
    tilt, size = np.radians(nuisance(-8, 8)), nuisance(0.94, 1.06)
    across, down = column - nuisance(-0.08, 0.08), row - nuisance(-0.08, 0.08)
    x = (across * np.cos(tilt) + down * np.sin(tilt)) / size
    y = (down * np.cos(tilt) - across * np.sin(tilt)) / size

    def ellipse(
        at_x: FloatArray, at_y: FloatArray, wide: FloatArray, high: FloatArray
    ) -> FloatArray:
        distance = np.hypot((x - at_x) / wide, (y - at_y) / high)
        inside: FloatArray = _fade((1 - distance) * np.minimum(wide, high))
        return inside

    zero = np.zeros((n, 1, 1))
    wide, high = 0.5 + 0.2 * own["face-width"], 0.66 + 0.2 * own["face-height"]
    face = ellipse(zero, zero + 0.05, wide, high)
    grey = np.broadcast_to(nuisance(0.3, 0.7), (n, _SIDE, _SIDE)).copy()
    hair_level, skin_level = 0.05 + 0.4 * own["hair"], 0.5 + 0.4 * own["skin"]
    _over(grey, ellipse(zero, zero - 0.05, wide + 0.1, high + 0.06), hair_level)
    below_hairline = _fade(y + 0.55 - 0.35 * own["hairline"])
    _over(grey, face * below_hairline, skin_level)
    apart, eye = 0.16 + 0.14 * own["eye-distance"], 0.05 + 0.05 * own["eye-size"]
    slope = 0.5 * (own["brow-angle"] - 0.5)
    for side in (-1.0, 1.0):
        _over(grey, ellipse(side * apart, zero - 0.08, 1.5 * eye, eye), zero + 0.95)
        _over(grey, ellipse(side * apart, zero - 0.08, 0.7 * eye, 0.8 * eye), zero + 0.05)
        brow = _fade(0.035 - np.abs(y + 0.24 + slope * side * (x - side * apart)))
        _over(grey, brow * _fade(0.14 - np.abs(x - side * apart)), hair_level * 0.7)
    length = 0.12 + 0.2 * own["nose-length"]
    nose = _fade(0.035 - np.abs(x)) * _fade(length / 2 - np.abs(y - 0.02 - length / 2))
    _over(grey, nose, skin_level - 0.22)
    mouth = 0.1 + 0.16 * own["mouth-width"]
    _over(grey, ellipse(zero, zero + 0.48, mouth, nuisance(0.035, 0.08)), zero + 0.15)
    angle = nuisance(0, 2 * np.pi)
    light = 1 + nuisance(0, 0.25) * (column * np.cos(angle) + row * np.sin(angle))
    noisy = grey * light + rng.normal(0, 0.02, size=grey.shape)
    pixels: ByteArray = np.clip(np.rint(255 * noisy), 0, 255).astype(np.uint8)
    return pixels[:, None]


def _fade(distance: FloatArray) -> FloatArray:
    """1 well inside, 0 well outside, half on the edge."""
    soft: FloatArray = 1 / (1 + np.exp(-2 * _EDGE * np.clip(distance, -1, 1)))
    return soft


def _over(grey: FloatArray, mask: FloatArray, level: FloatArray) -> None:
    """Paint a level over what is there."""
    grey += mask * (level - grey)


def _with_parameters(data: ImageDataset, people: FloatArray, who: IntArray) -> ImageDataset:
    thousandths = np.rint(1000 * people).astype(np.int64)
    columns = {
        f"parameter-{name}": thousandths[who, index] for index, name in enumerate(PARAMETERS)
    }
    return replace(data, attributes=columns)
