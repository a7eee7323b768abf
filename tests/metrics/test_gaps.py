"""Gaps between classes and groups: zero for the fair, right by hand, and never of a few images."""

import numpy as np
import pytest

from sudare.metrics import largest_difference, largest_gap, mean_gap, worst_share


def rng():
    return np.random.default_rng(0)


def test_a_gap_by_hand():
    parts = np.repeat([0, 1, 2], 40)
    right = np.tile(np.repeat([1.0, 0.5, 0.75], 40), (4, 1))
    right[:, 40:80] = np.arange(40) % 2
    right[:, 80:] = (np.arange(40) % 4 > 0).astype(float)
    found = largest_gap(right, parts, rng=rng())
    assert found.value == pytest.approx(0.5, abs=0.1)
    assert found.low > 0.2


def test_groups_are_compared_within_their_class():
    """One group has the easy class, the other the hard one: that is no gap between groups."""
    within, parts = np.repeat([0, 0, 1, 1], 30), np.tile(np.repeat([0, 1], 30), 2)
    right = np.tile((within == 0).astype(float), (4, 1))
    found = largest_gap(right, parts, within=within, rng=rng())
    assert found.value == 0.0
    assert mean_gap(right, parts, within=within, rng=rng()).value == 0.0


def test_groups_of_fewer_than_ten_images_have_no_gap():
    parts = np.array([0] * 60 + [1])
    right = np.tile((parts == 0).astype(float), (4, 1))
    assert largest_gap(right, parts, rng=rng()).value is None
    assert "10 test images" in largest_gap(right, parts, rng=rng()).reason
    assert mean_gap(right, parts, within=np.zeros(61, dtype=int), rng=rng()).value is None


def test_one_build_has_no_interval():
    parts = np.repeat([0, 1], 30)
    found = largest_gap(np.ones((1, 60)), parts, rng=rng())
    assert (found.value, found.low) == (0.0, None)


@pytest.mark.parametrize(
    ("classes", "groups", "images", "builds"), [(10, 2, 50, 8), (2, 2, 300, 8), (2, 2, 200, 4)]
)
def test_a_fair_model_has_no_gap(classes, groups, images, builds):
    """The maximum of noisy differences held 0 in none of 300 draws (10 classes of 50 images)."""
    draw, held, runs = np.random.default_rng(classes), 0, 200
    within = np.repeat(np.arange(classes), images)
    for _ in range(runs):
        parts = draw.integers(groups, size=classes * images)
        chance = draw.beta(4, 1, size=classes * images)
        right = (draw.random((builds, classes * images)) < chance).astype(float)
        found = largest_gap(right, parts, within=within, rng=draw)
        held += found.low <= 0 <= found.high
    assert held / runs >= 0.93


def test_the_worst_of_like_classes_is_as_good_as_all():
    """The smallest of ten noisy recalls is below every class's own; chosen apart, it is not."""
    draw, held, mean, least, runs = np.random.default_rng(4), 0, 0.0, 0.0, 200
    parts = np.repeat(np.arange(10), 30)
    for _ in range(runs):
        chance = draw.beta(4, 1, size=300)
        right = (draw.random((8, 300)) < chance).astype(float)
        found = worst_share(right, parts, rng=draw)
        held += found.low <= 0.8 <= found.high
        mean += found.value / runs
        least += min(right[:, parts == part].mean() for part in range(10)) / runs
    assert held / runs >= 0.93
    assert abs(mean - 0.8) < 0.01 < 0.8 - least


def test_the_worst_class_by_hand():
    parts = np.repeat([0, 1], 40)
    right = np.tile((parts == 0).astype(float), (4, 1))
    assert worst_share(right, parts, rng=rng()).value == 0.0
    assert worst_share(right[:, :9], parts[:9], rng=rng()).value is None


def test_the_largest_of_like_differences_is_none():
    draw, held, runs = np.random.default_rng(5), 0, 200
    for _ in range(runs):
        chance = draw.beta(4, 1, size=48)
        strong, *weak = (draw.random((4, 48)) < chance for _ in range(5))
        apart = np.stack([strong.astype(float) - one for one in weak])
        found = largest_difference(apart, rng=draw)
        held += found.low <= 0 <= found.high
    assert held / runs >= 0.93
    found = largest_difference(np.stack([np.zeros((4, 48)), np.ones((4, 48))]), rng=rng())
    assert found.value == pytest.approx(1.0)
    assert found.low > 0.7
    assert largest_difference(np.ones((1, 4, 9)), rng=rng()).value is None
