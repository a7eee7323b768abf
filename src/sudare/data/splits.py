"""Pool, public, population and test: four sets that share no unit and no near-duplicate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sudare.core.arrays import BoolArray, IntArray
from sudare.core.errors import DataError
from sudare.core.seeds import generator
from sudare.data.duplicates import duplicate_clusters, near_matches, near_rms
from sudare.data.images import ImageDataset, concatenate

_LEAST_UNITS = 4
_LEAST_TEST = 0.2
"""Share of the test images that must be left when near-duplicates of the pool are taken out."""

MIN_PER_CLASS = 4


@dataclass(frozen=True, kw_only=True)
class SplitSizes:
    """How many images each part gets; parts end on whole units, so counts may differ by one.

    Attributes:
        pool: Images whose membership is in question.
        public: Images that routes may train on.
        population: Images that attackers may use; never in a build.
        test: Images for scoring, taken from the official test set where there is one.
    """

    pool: int
    public: int = 0
    population: int = 0
    test: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditSplit:
    """The four parts of a collection, disjoint by unit.

    Attributes:
        pool: Images whose membership is in question.
        public: Images that routes may train on.
        population: Images that attackers may use; never in a build.
        test: Scoring only.
        removed: How many images were taken out of each other part, as near-duplicates of the
            pool or because their unit is in the pool, or in the test set.
        merged: How many near-duplicate pairs inside the pool became one unit.
        auxiliary: Images of classes (people) that are in no other part, for attackers who know
            the kind of image but nobody in it; None if none were set apart.

    Raises:
        DataError: A unit in two parts, or a pool class with fewer than 4 images.
    """

    pool: ImageDataset
    public: ImageDataset
    population: ImageDataset
    test: ImageDataset
    removed: Mapping[str, int] = field(default_factory=dict)
    merged: int = 0
    auxiliary: ImageDataset | None = None

    def __post_init__(self) -> None:
        owner: dict[int, str] = {}
        parts = {name: getattr(self, name) for name in ("pool", "public", "population", "test")}
        if self.auxiliary is not None:
            parts["auxiliary"] = self.auxiliary
        for part, data in parts.items():
            for unit in np.unique(data.unit):
                if owner.setdefault(int(unit), part) != part:
                    raise DataError(
                        f"unit {unit} is in both {owner[int(unit)]} and {part}",
                        where=self.pool.name,
                        fix="Give each patient, person or site to one part only.",
                    )
        counts = np.bincount(self.pool.classes, minlength=self.pool.n_classes)
        for name, count in zip(self.pool.class_names, counts, strict=True):
            if count < MIN_PER_CLASS:
                raise DataError(
                    f"class {name!r} has {count} images in the pool, fewer than {MIN_PER_CLASS}",
                    where=self.pool.name,
                    fix="Enlarge the pool, or leave the class out.",
                )


def make_split(
    train: ImageDataset,
    test: ImageDataset | None,
    *,
    sizes: SplitSizes,
    seed: int,
    auxiliary_classes: int = 0,
    elsewhere: ImageDataset | None = None,
) -> AuditSplit:
    """Draw the four parts by whole units, stratified by class.

    Near-duplicates of a pool image (``data.duplicates``) are removed from the other parts and
    counted; inside the pool they are merged into one unit. Units of ``train`` and ``test`` must
    be numbered apart unless they really are the same.

    Args:
        train: Where pool, public and population come from (and test, if ``test`` is None).
        test: The official test set, or None.
        sizes: Wanted sizes; 0 for an empty part.
        seed: Root seed.
        auxiliary_classes: How many classes, drawn by lot, are set apart for attackers.
        elsewhere: Images declared public that are not of this collection; they join the public
            part, but for near-duplicates of what is private.

    Raises:
        DataError: Images from elsewhere of other classes or shape; too few images for the
            wanted sizes, or what ``AuditSplit`` refuses.
    """
    auxiliary = None
    if auxiliary_classes:
        train, test, auxiliary = _set_apart(train, test, auxiliary_classes, seed=seed)
    wanted = [("pool", sizes.pool), ("population", sizes.population)]
    if test is None:
        wanted.append(("test", sizes.test))
    # Last, so that asking for public images moves nothing else.
    wanted.append(("public", sizes.public))
    total = sum(size for _, size in wanted)
    if total > len(train):
        raise DataError(
            f"{total} images are wanted and there are {len(train)}",
            where=train.name,
            fix="Ask for a smaller pool, public, population or test.",
        )
    parts = {name: train[rows] for name, rows in _deal(train, dict(wanted), seed=seed).items()}
    units = len(np.unique(parts["pool"].unit))
    if units < _LEAST_UNITS:
        every = len(np.unique(train.unit))
        raise DataError(
            f"the pool has {units} units (patients, persons or distinct images), and the whole "
            f"collection {every}",
            where=train.name,
            fix=f"An audit needs at least {_LEAST_UNITS} in the pool: identical images and images "
            "of one unit are in or out together.",
        )
    if test is not None:
        rng = generator(seed, "split", "test")
        keep = np.sort(rng.permutation(len(test))[: sizes.test or len(test)])
        parts["test"] = test[keep]
    if auxiliary is not None:
        parts["auxiliary"] = auxiliary
    if elsewhere is not None:
        of_classes = train.class_names
        parts["public"] = concatenate(
            [parts["public"], _joined(elsewhere, of_classes, like=train, above=_units(parts))]
        )
    return _without_near_duplicates(parts)


def _units(parts: Mapping[str, ImageDataset]) -> int:
    """The first number above those of all units."""
    return 1 + max(int(part.unit.max(initial=-1)) for part in parts.values())


def _joined(
    images: ImageDataset, class_names: tuple[str, ...], *, like: ImageDataset, above: int
) -> ImageDataset:
    """Images from elsewhere with the collection's classes, and units of their own."""
    if images.image_shape != like.image_shape:
        raise DataError(
            f"public images are {images.image_shape}, those of the collection {like.image_shape} "
            "(channels, height, width)",
            where="data.public_source",
            fix="Set data.image_size, or convert one of them.",
        )
    if set(images.class_names) != set(class_names):
        raise DataError(
            f"public images have classes {', '.join(sorted(images.class_names)[:6])}, the "
            f"collection {', '.join(sorted(class_names)[:6])}",
            where="data.public_source",
            fix="Name their classes as the collection's are named, and leave others out.",
        )
    ordered = images.of_classes(np.array([images.class_names.index(name) for name in class_names]))
    unit = np.unique(ordered.unit, return_inverse=True)[1] + above
    return replace(ordered, name=like.name, licence=like.licence, source=like.source).with_units(
        unit
    )


def _set_apart(
    train: ImageDataset, test: ImageDataset | None, count: int, *, seed: int
) -> tuple[ImageDataset, ImageDataset | None, ImageDataset]:
    """Train and test without some classes, and the training images of those."""
    if not 0 < count <= train.n_classes - 2:
        raise DataError(
            f"{count} of {train.n_classes} classes cannot be set apart",
            where=train.name,
            fix="Leave at least two classes for the pool.",
        )
    drawn = generator(seed, "split", "auxiliary").permutation(train.n_classes)
    apart, kept = np.sort(drawn[:count]), np.sort(drawn[count:])
    rest = None if test is None else test.of_classes(kept)
    return train.of_classes(kept), rest, train.of_classes(apart)


def _deal(data: ImageDataset, wanted: Mapping[str, int], *, seed: int) -> dict[str, IntArray]:
    """Rows of each part: units in random order, class by class, in proportion."""
    rng = generator(seed, "split", "train")
    names, first, of_image, sizes = np.unique(
        data.unit, return_index=True, return_inverse=True, return_counts=True
    )
    unit_class = data.classes[first]
    part_of_unit = np.full(len(names), -1)
    quota = {name: size / len(data) for name, size in wanted.items()}
    for label in np.unique(unit_class):
        members = rng.permutation(np.flatnonzero(unit_class == label))
        ends = np.cumsum(sizes[members])
        start = 0.0
        for index, name in enumerate(wanted):
            stop = start + quota[name] * ends[-1]
            part_of_unit[members[(ends > start + 0.5) & (ends <= stop + 0.5)]] = index
            start = stop
    part = part_of_unit[of_image]
    return {name: np.flatnonzero(part == index) for index, name in enumerate(wanted)}


def _without_near_duplicates(parts: Mapping[str, ImageDataset]) -> AuditSplit:
    pool = parts["pool"]
    rms = near_rms(pool.images)
    clusters = duplicate_clusters(pool.images, rms=rms)
    merged_units = merge_partitions(pool.unit, clusters)
    merged = len(np.unique(pool.unit)) - len(np.unique(merged_units))
    kept, removed = {}, {}
    taken = np.unique(pool.unit)
    # The test set first: what it shares with public or population is theirs to lose.
    for name in ("test", "population", "public", "auxiliary"):
        if name not in parts:
            continue
        part = parts[name]
        near: BoolArray = near_matches(part.images, pool.images, rms=rms)
        shared: BoolArray = np.isin(part.unit, taken)
        # A unit goes as a whole: one near-duplicate betrays the others of its patient.
        out = np.isin(part.unit, part.unit[near | shared])
        kept[name], removed[name] = part[~out], int(out.sum())
        if name == "test" and len(part) and len(kept[name]) < _LEAST_TEST * len(part):
            raise DataError(
                f"{removed[name]:,} of {len(part):,} test images are nearly equal to images of the "
                "pool, or of their units",
                where=part.name,
                fix="What is left would say nothing of use. Give a test set of its own, or units "
                "that keep images of one person together.",
            )
        taken = np.union1d(taken, kept[name].unit)
    return AuditSplit(pool=pool.with_units(merged_units), removed=removed, merged=merged, **kept)


def merge_partitions(units: IntArray, clusters: IntArray) -> IntArray:
    """The finest units that are unions of both partitions, named by their smallest unit."""
    merged = units.copy()
    while True:
        lowest = np.full(int(clusters.max()) + 1, np.iinfo(np.int64).max)
        np.minimum.at(lowest, clusters, merged)
        step = lowest[clusters]
        _, inverse = np.unique(units, return_inverse=True)
        by_unit = np.full(int(inverse.max()) + 1, np.iinfo(np.int64).max)
        np.minimum.at(by_unit, inverse, step)
        step = by_unit[inverse]
        if np.array_equal(step, merged):
            return merged
        merged = step


def few_of_each(data: ImageDataset, count: int, *, seed: int) -> ImageDataset:
    """So many images of each class, by lot; fewer are always among more.

    Args:
        data: The images.
        count: Images of each class.
        seed: Seed of the lot, the same whatever the count.

    Raises:
        DataError: A class has fewer.
    """
    order, kept = generator(seed, "few of each").permutation(len(data)), []
    for label, name in enumerate(data.class_names):
        own = order[data.classes[order] == label]
        if len(own) < count:
            raise DataError(
                f"class {name!r} has {len(own)} images in the pool, {count} are wanted (half of "
                "them in each build)",
                where="data.per_class",
                fix="Lower data.per_class, or raise data.pool.",
            )
        kept.append(own[:count])
    return data[np.sort(np.concatenate(kept))]
