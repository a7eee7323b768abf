"""Payout attacks: what one owner of a federation can do to its own records to be paid more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sudare.core.arrays import IntArray
from sudare.core.errors import DataError
from sudare.data.images import ImageDataset, concatenate


@dataclass(frozen=True, kw_only=True, eq=False)
class Tricked:
    """A collection after the trick.

    Attributes:
        data: With a column ``silo``.
        owners: Silos the cheat is paid under; two where it poses as two.
        clients: Number of silos.
    """

    data: ImageDataset
    owners: tuple[int, ...]
    clients: int


Trick = Callable[[ImageDataset, int, np.random.Generator], Tricked]
"""From an honest collection with silos, the cheat's number and a source of chance."""


def _silos(data: ImageDataset) -> IntArray:
    if data.silo is None:
        raise DataError("the collection says not who owns what", fix="Give it a column `silo`.")
    return data.silo


def _relabelled(data: ImageDataset, owner: int, labels: IntArray) -> Tricked:
    silos = _silos(data)
    mine = silos == owner
    return Tricked(
        data=replace(data, labels=np.where(mine, labels, data.classes).astype(np.int64)),
        owners=(owner,),
        clients=int(silos.max()) + 1,
    )


def _repainted(data: ImageDataset, owner: int, images: np.ndarray) -> ImageDataset:
    mine = (_silos(data) == owner)[:, None, None, None]
    return replace(data, images=np.where(mine, images, data.images).astype(np.uint8))


def honest(data: ImageDataset, owner: int, rng: np.random.Generator) -> Tricked:
    """Nothing: what the others are measured against."""
    return _relabelled(data, owner, data.classes)


def wrong_labels(data: ImageDataset, owner: int, rng: np.random.Generator) -> Tricked:
    """Every label is the next class's: hard records, and harm to the common net."""
    return _relabelled(data, owner, (data.classes + 1) % data.n_classes)


def noise_images(data: ImageDataset, owner: int, rng: np.random.Generator) -> Tricked:
    """Noise under labels drawn by lot."""
    labels = rng.integers(0, data.n_classes, size=len(data))
    noise = rng.integers(0, 256, size=data.images.shape)
    return _relabelled(_repainted(data, owner, noise), owner, labels)


def duplicates(data: ImageDataset, owner: int, rng: np.random.Generator) -> Tricked:
    """Every record is handed in twice."""
    silos = _silos(data)
    again = data[np.flatnonzero(silos == owner)]
    again = again.with_units(again.unit + 1 + data.unit.max())
    return Tricked(data=concatenate([data, again]), owners=(owner,), clients=int(silos.max()) + 1)


def sybil(data: ImageDataset, owner: int, rng: np.random.Generator) -> Tricked:
    """It poses as two owners with half of its records each."""
    silos, clients = _silos(data), int(_silos(data).max()) + 1
    mine = rng.permutation(np.flatnonzero(silos == owner))
    moved = silos.copy()
    moved[mine[: len(mine) // 2]] = clients
    return Tricked(data=replace(data, silo=moved), owners=(owner, clients), clients=clients + 1)


def free_rider(data: ImageDataset, owner: int, rng: np.random.Generator) -> Tricked:
    """It hands in as many copies of a single record as it has records."""
    mine = np.flatnonzero(_silos(data) == owner)
    if not len(mine):
        raise DataError(f"owner {owner} has no record", where=data.name)
    one = int(mine[0])
    same = _repainted(data, owner, np.broadcast_to(data.images[one], data.images.shape))
    return _relabelled(same, owner, np.full(len(data), data.classes[one]))


TRICKS: Mapping[str, Trick] = {
    "honest": honest,
    "wrong labels": wrong_labels,
    "noise images": noise_images,
    "duplicates": duplicates,
    "sybil": sybil,
    "free rider": free_rider,
}
