"""Which released images are private ones: planted copies are found, chance is not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sudare.attacks.near_copies import altered, matches, search


def pictures(n, side=16, channels=1, seed=0, spread=1.0):
    """Smooth pictures, each of its own."""
    rng = np.random.default_rng(seed)
    blurred = gaussian_filter(rng.standard_normal((n, channels, side, side)), (0, 0, 1.2, 1.2))
    blurred /= np.abs(blurred).max(axis=(1, 2, 3), keepdims=True)
    return np.clip(127 + 120 * spread * blurred, 0, 255).astype(np.uint8)


POOL = pictures(300)
MEMBERS = np.arange(300) < 150


def shifted(image, down, right):
    return np.roll(image, (down, right), axis=(2, 3))


CHANGES = {
    "none": lambda x: x,
    "flip": lambda x: x[:, :, :, ::-1],
    "shift of one": lambda x: shifted(x, 1, -1),
    "shift of two": lambda x: shifted(x, -2, 2),
    "darker": lambda x: 0.6 * x,
    "less contrast": lambda x: 0.5 * x + 60,
    "noise": lambda x: x + np.random.default_rng(1).normal(0, 6, x.shape),
    "all of it": lambda x: altered(x.astype(np.uint8), np.random.default_rng(2)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_copy_is_found_however_it_was_changed(change, channels):
    pool = pictures(300, channels=channels)
    items = CHANGES[change](pool[:20].astype(np.float32)).astype(np.float32)
    found = search(items, pool)["pixels"]
    copies, phantoms, ratio = matches(found, MEMBERS)
    assert copies.all()
    assert not phantoms.any()
    assert np.array_equal(found.columns[:, 0], np.arange(20))
    assert (ratio < 0.5).all()


def test_pictures_of_nobody_are_no_copies():
    items = pictures(200, seed=5)
    for found in search(items, POOL).values():
        copies, phantoms, _ = matches(found, MEMBERS)
        assert copies.sum() <= 1
        assert phantoms.sum() <= 1


def test_a_copy_of_an_image_that_was_not_used_is_a_phantom():
    copies, phantoms, _ = matches(search(POOL[200:210], POOL)["pixels"], MEMBERS)
    assert not copies.any()
    assert phantoms.all()


def test_two_images_of_one_unit_do_not_hide_each_other():
    """The rule "nearer than half the second nearest" misses whoever was photographed twice."""
    pool = np.concatenate([POOL, altered(POOL[:10], np.random.default_rng(0)).clip(0, 255)])
    members = np.concatenate([MEMBERS, np.ones(10, dtype=bool)])
    copies, _, _ = matches(search(POOL[:10], pool.astype(np.uint8))["pixels"], members)
    assert copies.all()


def test_blank_images_are_nobody_s_copies():
    pool = np.concatenate([POOL, np.full((5, 1, 16, 16), 40, dtype=np.uint8)])
    members = np.concatenate([MEMBERS, np.ones(5, dtype=bool)])
    blank = np.full((3, 1, 16, 16), 40, dtype=np.uint8)
    for found in search(blank, pool).values():
        assert not matches(found, members)[0].any()


@pytest.mark.parametrize(("items", "pool"), [(0, 10), (3, 1), (3, 5)])
def test_few_images_are_no_error(items, pool):
    for found in search(POOL[:items], POOL[100 : 100 + pool]).values():
        copies, phantoms, ratio = matches(found, np.arange(pool) < 1)
        assert len(copies) == len(phantoms) == len(ratio) == items


def test_small_and_dark_images_are_searched_too():
    small = pictures(200, side=8, spread=0.06)
    assert small.max() < 140
    copies, _, _ = matches(search(small[:20], small)["pixels"], np.arange(200) < 100)
    assert copies.mean() >= 0.9
