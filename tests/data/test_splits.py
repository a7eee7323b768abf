from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sudare.core.errors import DataError
from sudare.data import AuditSplit, SplitSizes, concatenate, make_split
from sudare.data.duplicates import near_matches
from sudare.data.sources import load_source
from tests.data.makers import dataset, noise

PARTS = ("pool", "public", "population", "test")


def disjoint(split):
    units = [set(getattr(split, part).unit.tolist()) for part in PARTS]
    return sum(len(u) for u in units) == len(set().union(*units))


@given(
    sizes=st.lists(st.integers(1, 4), min_size=60, max_size=90),
    classes=st.integers(2, 4),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=30, deadline=None)
def test_parts_share_no_unit_and_have_their_sizes_to_within_a_unit_per_class(sizes, classes, seed):
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(len(sizes)), sizes)
    data = dataset(noise(rng, len(unit), 1, 6, 6), unit % classes, unit, classes)
    wanted = SplitSizes(pool=len(unit) // 2, public=len(unit) // 6, test=len(unit) // 6)
    split = make_split(data, None, sizes=wanted, seed=seed)
    assert disjoint(split)
    for part in PARTS:
        got, goal = len(getattr(split, part)), getattr(wanted, part)
        assert abs(got - goal) <= classes * max(sizes)
    rows = {image.tobytes() for image in data.images}
    assert all(image.tobytes() in rows for part in PARTS for image in getattr(split, part).images)


def test_sizes_of_a_real_collection_are_right_to_within_rounding_per_class():
    source = load_source("pneumonia")
    sizes = SplitSizes(pool=1200, public=1000, population=600, test=500)
    split = make_split(source.train, source.test, sizes=sizes, seed=3)
    assert disjoint(split)
    for part in PARTS:
        lost = split.removed.get(part, 0)
        assert abs(len(getattr(split, part)) + lost - getattr(sizes, part)) <= 4
    # Stratified: every part drawn from train has its share of pneumonia.
    share = source.train.labels.mean()
    for part in ("pool", "public", "population"):
        assert getattr(split, part).labels.mean() == pytest.approx(share, abs=0.005)


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    data = load_source("digits").train
    sizes = SplitSizes(pool=400, public=200, population=100, test=100)
    one, two, other = (make_split(data, None, sizes=sizes, seed=seed) for seed in (1, 1, 2))
    assert all(getattr(one, p).content_hash == getattr(two, p).content_hash for p in PARTS)
    assert one.pool.content_hash != other.pool.content_hash


def test_near_duplicates_of_the_pool_leave_the_test_set_and_are_counted(rng):
    train = dataset(noise(rng, 80, 1, 6, 6))
    copies = train.images.copy()
    copies[:, 0, 0, 0] ^= 1
    fresh = noise(rng, 20, 1, 6, 6)
    test = dataset(np.concatenate([copies, fresh]), unit=np.arange(100) + 1000)
    split = make_split(train, test, sizes=SplitSizes(pool=40), seed=0)
    assert not near_matches(split.test.images, split.pool.images).any()
    assert split.removed == {"test": 40, "population": 0, "public": 0}
    assert len(split.test) == 60


def test_a_near_duplicate_takes_its_whole_unit_along(rng):
    train = dataset(noise(rng, 40, 1, 6, 6))
    images = noise(rng, 12, 1, 6, 6)
    images[0] = train.images[0]
    test = dataset(images, unit=np.arange(12) // 3 + 1000)
    split = make_split(train, test, sizes=SplitSizes(pool=40), seed=0)
    assert split.removed["test"] == 3
    assert not np.isin(1000, split.test.unit)


def test_near_duplicates_in_the_pool_become_one_unit_and_are_counted(rng):
    images = noise(rng, 40, 1, 6, 6)
    images[7] = images[3]
    images[9] = images[3]
    images[9, 0, 0, 0] ^= 1
    split = make_split(dataset(images), None, sizes=SplitSizes(pool=40), seed=0)
    same = [image.tobytes() == images[3].tobytes() for image in split.pool.images]
    assert split.merged == 2
    assert len(np.unique(split.pool.unit)) == 38
    assert len(np.unique(split.pool.unit[same])) == 1


def test_a_picture_in_public_and_test_stays_in_test_only(rng):
    train = dataset(noise(rng, 80, 1, 6, 6))
    # The same pictures, and therefore the same units, in the official test set.
    split = make_split(train, train, sizes=SplitSizes(pool=40, public=20, population=20), seed=0)
    assert disjoint(split)
    assert split.removed == {"test": 40, "population": 20, "public": 20}
    assert (len(split.test), len(split.public), len(split.population)) == (40, 0, 0)


def test_more_images_than_there_are_cannot_be_wanted(rng):
    with pytest.raises(DataError, match="50 images are wanted and there are 40"):
        make_split(dataset(noise(rng, 40, 1, 4, 4)), None, sizes=SplitSizes(pool=50), seed=0)


def test_a_pool_class_of_three_images_is_refused(rng):
    data = dataset(noise(rng, 40, 1, 4, 4), [0] * 37 + [1] * 3)
    with pytest.raises(DataError, match="class 'class 1' has 3 images in the pool"):
        make_split(data, None, sizes=SplitSizes(pool=40), seed=0)


def test_a_unit_in_two_parts_is_refused(rng):
    data = dataset(noise(rng, 40, 1, 4, 4))
    none = data[:0]
    with pytest.raises(DataError, match="unit 0 is in both pool and test"):
        AuditSplit(pool=data, public=none, population=none, test=data[:1])


def test_parts_put_together_hold_each_image_once():
    source = load_source("digits")
    sizes = SplitSizes(pool=900, public=400, population=297, test=200)
    split = make_split(source.train, None, sizes=sizes, seed=0)
    whole = concatenate([getattr(split, part) for part in PARTS])
    assert len(whole) + sum(split.removed.values()) <= 1797
    assert len({image.tobytes() for image in whole.images}) >= len(whole) - split.merged


def test_asking_for_public_images_moves_nothing_else():
    data = dataset(np.random.default_rng(0).integers(0, 255, size=(400, 1, 8, 8), dtype=np.uint8))
    without, with_public = (
        make_split(data, None, sizes=SplitSizes(pool=100, population=60, test=40, public=n), seed=3)
        for n in (0, 80)
    )
    for part in ("pool", "population", "test"):
        one, two = getattr(without, part), getattr(with_public, part)
        assert one.content_hash == two.content_hash
    assert len(with_public.public) > 60


def test_classes_set_apart_are_in_no_other_part():
    source = load_source("digits")
    sizes = SplitSizes(pool=400, population=100, test=100)
    split = make_split(source.train, source.test, sizes=sizes, seed=0, auxiliary_classes=4)
    assert split.pool.n_classes == split.test.n_classes == split.population.n_classes == 6
    assert split.auxiliary.n_classes == 4
    assert not set(split.auxiliary.class_names) & set(split.pool.class_names)
    known = {image.tobytes() for image in split.pool.images}
    assert not known & {image.tobytes() for image in split.auxiliary.images}
    # Labels still go with their images after classes are numbered anew.
    truth = {
        image.tobytes(): source.train.class_names[label]
        for image, label in zip(source.train.images, source.train.labels, strict=True)
    }
    for part in (split.pool, split.auxiliary):
        for image, label in zip(part.images, part.labels, strict=True):
            assert truth[image.tobytes()] == part.class_names[label]


def test_setting_all_classes_apart_is_refused():
    source = load_source("digits")
    with pytest.raises(DataError, match="cannot be set apart"):
        make_split(source.train, None, sizes=SplitSizes(pool=100), seed=0, auxiliary_classes=9)


def test_public_images_from_elsewhere_join_the_public_part_and_no_other():
    own = load_source("digits").train
    elsewhere = own[np.arange(900, 1200)]
    private = own[np.arange(900)]
    sizes = SplitSizes(pool=500, public=50, population=100, test=100)
    alone = make_split(private, None, sizes=sizes, seed=0)
    split = make_split(private, None, sizes=sizes, seed=0, elsewhere=elsewhere)
    assert disjoint(split)
    for part in ("pool", "population", "test"):
        assert getattr(split, part).content_hash == getattr(alone, part).content_hash
    gone = split.removed["public"] - alone.removed["public"]
    assert len(split.public) == len(alone.public) + 300 - gone


def test_public_images_from_elsewhere_have_the_collections_classes_by_name():
    rng = np.random.default_rng(0)
    own = dataset(noise(rng, 200, 1, 8, 8), np.arange(200) % 2, np.arange(200), 2)
    own = replace(own, class_names=("cat", "dog"))
    public = dataset(noise(rng, 40, 1, 8, 8), np.repeat([0, 1], [10, 30]), np.arange(40), 2)
    sizes = SplitSizes(pool=120, test=40)
    turned = replace(public, class_names=("dog", "cat"))
    split = make_split(own, None, sizes=sizes, seed=0, elsewhere=turned)
    assert split.public.class_names == ("cat", "dog")
    assert np.bincount(split.public.classes).tolist() == [30, 10]
    with pytest.raises(DataError, match="have classes cat, cow, the collection cat, dog"):
        make_split(
            own, None, sizes=sizes, seed=0,
            elsewhere=replace(public, class_names=("cat", "cow")),
        )  # fmt: skip
    small = dataset(noise(rng, 40, 1, 6, 6), np.arange(40) % 2, np.arange(40), 2)
    with pytest.raises(DataError, match=r"are \(1, 6, 6\), those of the collection \(1, 8, 8\)"):
        make_split(own, None, sizes=sizes, seed=0, elsewhere=small)


def test_what_is_private_is_taken_out_of_public_images_from_elsewhere():
    own = load_source("digits").train[np.arange(600)]
    sizes = SplitSizes(pool=400, population=50, test=100)
    split = make_split(own, None, sizes=sizes, seed=0, elsewhere=own)
    assert not near_matches(split.public.images, split.pool.images).any()
    assert len(split.public) <= 200
