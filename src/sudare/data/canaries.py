"""Canaries: images planted to make the worst case visible, in or out by a coin of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from sudare.core.arrays import ByteArray, IntArray
from sudare.core.errors import ConfigError
from sudare.core.seeds import generator
from sudare.data.images import ImageDataset, concatenate
from sudare.data.plan import MembershipPlan, draw_plan

if TYPE_CHECKING:
    from jaxtyping import Int

_LEAST_PER_CLASS = 8


class CanaryKind(StrEnum):
    """What is planted."""

    MISLABELLED = "mislabelled"
    """Pool images under a wrong label: a model must memorise them to get them right."""
    DUPLICATED = "duplicated"
    """Pool images that are in twice when they are in: a patient with two near-equal images."""
    OOD = "ood"
    """Random smooth textures with random labels: nothing else looks like them."""


@dataclass(frozen=True, kw_only=True)
class CanaryConfig:
    """How many canaries of which kind."""

    kind: CanaryKind
    count: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Planted:
    """A pool with canaries.

    Attributes:
        pool: All images that builds may see.
        rows: ``int64 [m]``, the canaries that are scored; further copies are not.
    """

    pool: ImageDataset
    rows: Int[IntArray, " m"]


def parse_canaries(text: str) -> CanaryConfig:
    """Canaries from text such as ``mislabelled:200``.

    Raises:
        ConfigError: Unknown kind or no count.

    >>> parse_canaries("ood:64").count
    64
    """
    kind, _, count = text.partition(":")
    if kind not in set(CanaryKind) or not count.isdigit() or not int(count):
        kinds = ", ".join(CanaryKind)
        raise ConfigError(
            f"{text!r} says nothing about canaries",
            where="audit.canaries",
            fix=f"Write a kind and a count, such as mislabelled:200. Kinds are: {kinds}.",
        )
    return CanaryConfig(kind=CanaryKind(kind), count=int(count))


def plant(pool: ImageDataset, canaries: CanaryConfig, *, seed: int) -> Planted:
    """Choose canaries, as many of each class, and plant them.

    Only images that are a unit by themselves are chosen: an image whose patient stays in
    would be no canary.

    Raises:
        ConfigError: Too few images of a class, or fewer than 8 canaries a class; several
            labels an image.
    """
    if pool.multi_label:
        raise ConfigError("canaries need one label an image", where="audit.canaries")
    rng = generator(seed, "canaries", str(canaries.kind), "plant")
    each = canaries.count // pool.n_classes
    if each < _LEAST_PER_CLASS:
        raise ConfigError(
            f"{canaries.count} canaries are fewer than {_LEAST_PER_CLASS} for each of "
            f"{pool.n_classes} classes",
            where="audit.canaries",
            fix=f"Plant at least {_LEAST_PER_CLASS * pool.n_classes}.",
        )
    _, of_image, sizes = np.unique(pool.unit, return_inverse=True, return_counts=True)
    alone = sizes[of_image] == 1
    chosen = []
    for label, name in enumerate(pool.class_names):
        candidates = rng.permutation(np.flatnonzero(alone & (pool.classes == label)))
        if len(candidates) < 2 * each:
            raise ConfigError(
                f"class {name!r} has {len(candidates)} images that are a unit by themselves, "
                f"too few for {each} canaries",
                where="audit.canaries",
                fix="Plant fewer, or enlarge the pool.",
            )
        chosen.append(candidates[:each])
    rows = np.concatenate(chosen)
    return _plant(pool, rows, canaries.kind, rng)


def canary_plan(
    planted: Planted, *, builds: int, seed: int
) -> tuple[MembershipPlan, MembershipPlan]:
    """Who is in which build: every image always, but for canaries, which come in pairs.

    Returns:
        The plan over all images of the pool (its rows are no complements of each other), and
        the plan over the canaries alone.
    """
    pool, rows = planted.pool, planted.rows
    own = draw_plan(pool.unit[rows], pool.classes[rows], builds=builds, seed=seed)
    order = np.argsort(pool.unit[rows])
    position = np.searchsorted(pool.unit[rows], pool.unit, sorter=order).clip(max=len(rows) - 1)
    canary = pool.unit[rows][order[position]] == pool.unit
    whole = np.where(canary, own.membership[:, order[position]], True)
    return MembershipPlan(membership=whole, complement=own.complement), own


def _plant(
    pool: ImageDataset, rows: IntArray, kind: CanaryKind, rng: np.random.Generator
) -> Planted:
    match kind:
        case CanaryKind.MISLABELLED:
            labels = pool.labels.copy()
            # Shifts that go round within each class keep the canaries' classes as even as they
            # were; going round over all of them may leave a class without any.
            each = len(rows) // pool.n_classes
            shift = 1 + np.arange(len(rows)) % each % (pool.n_classes - 1)
            labels[rows] = (labels[rows] + shift) % pool.n_classes
            return Planted(pool=replace(pool, labels=labels), rows=rows)
        case CanaryKind.DUPLICATED:
            return Planted(pool=concatenate([pool, pool[rows]]), rows=rows)
        case CanaryKind.OOD:
            images = pool.images.copy()
            images[rows] = _textures(len(rows), pool.image_shape, rng)
            return Planted(pool=replace(pool, images=images), rows=rows)


def _textures(count: int, shape: tuple[int, int, int], rng: np.random.Generator) -> ByteArray:
    """Smooth random patterns: a coarse grid of noise, interpolated."""
    from scipy.ndimage import zoom

    channels, height, width = shape
    coarse = rng.random((count, channels, 5, 5))
    smooth = zoom(coarse, (1, 1, height / 5, width / 5), order=1, grid_mode=True, mode="nearest")
    images: ByteArray = np.clip(smooth * 256, 0, 255).astype(np.uint8)
    return images
