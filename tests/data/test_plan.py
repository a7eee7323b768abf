import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sudare.core.errors import AuditError
from sudare.data import draw_plan


@st.composite
def pools(draw):
    """Units of random sizes, each of one class, in random order."""
    sizes = draw(st.lists(st.integers(1, 7), min_size=4, max_size=40))
    classes = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    names = rng.permutation(len(sizes) * 3)[: len(sizes)]
    unit = np.repeat(names, sizes)
    label = np.repeat(rng.integers(classes, size=len(sizes)), sizes)
    order = rng.permutation(len(unit))
    return unit[order], label[order], max(sizes)


@given(pools(), st.sampled_from([4, 6, 16]), st.integers(0, 2**31))
def test_rows_are_complementary_pairs(pool, builds, seed):
    unit, label, _ = pool
    plan = draw_plan(unit, label, builds=builds, seed=seed)
    assert plan.membership.shape == (builds, len(unit))
    assert np.array_equal(plan.membership[0::2], ~plan.membership[1::2])
    assert np.array_equal(plan.membership[plan.complement], ~plan.membership)


@given(pools(), st.integers(0, 2**31))
def test_every_build_has_half_the_images_to_within_one_unit(pool, seed):
    unit, label, largest = pool
    sizes = draw_plan(unit, label, builds=8, seed=seed).membership.sum(axis=1)
    assert np.ptp(sizes) <= largest


@given(pools(), st.integers(0, 2**31))
def test_a_unit_is_in_or_out_as_a_whole(pool, seed):
    unit, label, _ = pool
    membership = draw_plan(unit, label, builds=6, seed=seed).membership
    for name in np.unique(unit):
        rows = membership[:, unit == name]
        assert (rows == rows[:, :1]).all()


@given(pools(), st.integers(0, 2**31))
def test_each_class_is_halved_to_within_one_unit(pool, seed):
    unit, label, _ = pool
    membership = draw_plan(unit, label, builds=6, seed=seed).membership
    for number in np.unique(label):
        names, sizes = np.unique(unit[label == number], return_counts=True)
        for row in membership:
            inside = np.unique(unit[row & (label == number)])
            assert abs(2 * len(inside) - len(names)) <= 1
            assert abs(2 * int((row & (label == number)).sum()) - sizes.sum()) <= sizes.max()


@given(pools(), st.sampled_from([4, 8]), st.integers(0, 2**31))
def test_every_image_has_as_many_shadows_in_as_out_whatever_the_target(pool, builds, seed):
    unit, label, _ = pool
    plan = draw_plan(unit, label, builds=builds, seed=seed)
    for target in range(builds):
        shadows = np.delete(plan.membership, [target, plan.complement[target]], axis=0)
        assert (shadows.sum(axis=0) == builds // 2 - 1).all()


def test_an_image_is_a_member_of_the_first_build_half_of_the_time():
    unit, label = np.repeat(np.arange(15), 2), np.repeat(np.arange(15), 2) % 2
    drawn = np.stack([draw_plan(unit, label, builds=4, seed=s).membership[0] for s in range(600)])
    # 600 draws: a standard error of 0.02; 30 images in 15 units.
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.09


def test_pairs_are_drawn_anew_and_a_seed_repeats_them():
    unit, label = np.arange(60), np.arange(60) % 3
    plan = draw_plan(unit, label, builds=8, seed=5)
    assert np.array_equal(plan.membership, draw_plan(unit, label, builds=8, seed=5).membership)
    assert len({row.tobytes() for row in plan.membership}) == 8
    # The first pairs do not depend on how many follow.
    longer = draw_plan(unit, label, builds=16, seed=5)
    assert np.array_equal(longer.membership[:8], plan.membership)


@pytest.mark.parametrize("builds", [0, 2, 5])
def test_too_few_or_unpaired_builds_are_refused(builds):
    with pytest.raises(AuditError, match=f"{builds} builds cannot be paired"):
        draw_plan(np.arange(8), np.arange(8) % 2, builds=builds, seed=0)
