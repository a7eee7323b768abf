import numpy as np
import pytest

from sudare.core.errors import ConfigError
from sudare.data.canaries import CanaryConfig, CanaryKind, canary_plan, parse_canaries, plant
from sudare.data.images import ImageDataset


def pool_of(n=240, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return ImageDataset(
        images=rng.integers(0, 255, size=(n, 1, 8, 8), dtype=np.uint8),
        labels=np.arange(n, dtype=np.int64) % classes,
        class_names=tuple(f"class {i}" for i in range(classes)),
        # The last thirty images are fifteen patients with two images each.
        unit=np.where(np.arange(n) < n - 30, np.arange(n), n + (np.arange(n) // 2)),
    )


def planted_of(kind, count=48):
    pool = pool_of()
    return pool, plant(pool, CanaryConfig(kind=kind, count=count), seed=1)


@pytest.mark.parametrize("kind", list(CanaryKind))
def test_canaries_come_in_pairs_and_everything_else_is_always_in(kind):
    _, planted = planted_of(kind)
    whole, own = canary_plan(planted, builds=8, seed=2)
    canary_units = planted.pool.unit[planted.rows]
    canary = np.isin(planted.pool.unit, canary_units)
    assert whole.membership[:, ~canary].all()
    np.testing.assert_array_equal(whole.membership[:, planted.rows], own.membership)
    np.testing.assert_array_equal(own.membership[own.complement], ~own.membership)
    for unit in canary_units:
        columns = whole.membership[:, planted.pool.unit == unit]
        assert (columns == columns[:, :1]).all()


def test_mislabelled_canaries_have_another_label_and_the_same_pixels():
    pool, planted = planted_of(CanaryKind.MISLABELLED)
    rows = planted.rows
    assert (planted.pool.labels[rows] != pool.labels[rows]).all()
    np.testing.assert_array_equal(planted.pool.images, pool.images)
    others = np.setdiff1d(np.arange(len(pool)), rows)
    np.testing.assert_array_equal(planted.pool.labels[others], pool.labels[others])


@pytest.mark.parametrize("each", [8, 9, 11])
def test_wrong_labels_are_spread_over_all_ten_classes(each):
    """Eight canaries of each of ten classes once left the last class without any."""
    kind = CanaryConfig(kind=CanaryKind.MISLABELLED, count=10 * each)
    planted = plant(pool_of(n=600, classes=10), kind, seed=1)
    counts = np.bincount(planted.pool.labels[planted.rows], minlength=10)
    assert counts.tolist() == [each] * 10


def test_duplicated_canaries_are_in_twice():
    pool, planted = planted_of(CanaryKind.DUPLICATED)
    assert len(planted.pool) == len(pool) + 48
    copies = np.arange(len(pool), len(pool) + 48)
    np.testing.assert_array_equal(planted.pool.images[copies], pool.images[planted.rows])
    np.testing.assert_array_equal(planted.pool.unit[copies], pool.unit[planted.rows])


def test_ood_canaries_are_smooth_textures_over_the_whole_range():
    pool, planted = planted_of(CanaryKind.OOD)
    textures = planted.pool.images[planted.rows].astype(int)
    noise = np.abs(np.diff(pool.images.astype(int), axis=3)).mean()
    assert np.abs(np.diff(textures, axis=3)).mean() < noise / 2
    assert textures.min() < 40
    assert textures.max() > 215


def test_a_patient_with_other_images_is_no_canary():
    pool, planted = planted_of(CanaryKind.MISLABELLED, count=96)
    _, sizes = np.unique(pool.unit, return_counts=True)
    counts = dict(zip(*np.unique(pool.unit, return_counts=True), strict=True))
    assert all(counts[unit] == 1 for unit in pool.unit[planted.rows])
    assert sizes.max() == 2


@pytest.mark.parametrize("text", ["mislabelled", "mislabelled:0", "wrong:20", "ood:many"])
def test_text_that_says_nothing_about_canaries_is_refused(text):
    with pytest.raises(ConfigError, match="says nothing about canaries"):
        parse_canaries(text)


def test_too_few_and_too_many_canaries_are_refused():
    with pytest.raises(ConfigError, match="fewer than 8"):
        planted_of(CanaryKind.OOD, count=20)
    with pytest.raises(ConfigError, match="too few for"):
        planted_of(CanaryKind.OOD, count=210)
