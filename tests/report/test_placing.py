"""Numbers in the chart of the report: beside their marks, on no other number and no mark."""

import itertools
import math

import numpy as np
import pytest

from sudare.report.placing import LABEL_HEIGHT, LETTER_WIDTH, MARK, places, spread

SIZE = (400.0, 300.0)


def boxes(marks, texts):
    found = places(marks, texts, size=SIZE)
    around = [(at, MARK, MARK) for at in marks]
    return found, [
        (at, LETTER_WIDTH * len(t), LABEL_HEIGHT) for at, t in zip(found, texts, strict=True)
    ], around  # fmt: skip


def overlap(one, other):
    (a, width, height), (b, broad, tall) = one, other
    slack = 1e-9
    return (
        abs(a[0] - b[0]) < (width + broad) / 2 - slack
        and abs(a[1] - b[1]) < (height + tall) / 2 - slack
    )


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("count", [2, 19, 40])
def test_no_number_covers_another_or_a_mark(count, seed):
    rng = np.random.default_rng(seed)
    # Most releases stand together, as they do in a run: within a quarter of the chart.
    spread = rng.choice([0.08, 0.25, 1.0])
    middles = 0.5 + spread * (rng.random((count, 2)) - 0.5)
    marks = [(float(x * 380 + 10), float(y * 280 + 10)) for x, y in middles]
    texts = [str(number) for number in range(1, count + 1)]
    found, labels, around = boxes(marks, texts)
    assert not any(overlap(one, other) for one, other in itertools.combinations(labels, 2))
    assert not any(overlap(one, other) for one in labels for other in around)
    assert all(0 <= x <= SIZE[0] and 0 <= y <= SIZE[1] for x, y in found)


def test_a_lone_mark_has_its_number_to_the_upper_right():
    (at,) = places([(200.0, 150.0)], ["7"], size=SIZE)
    assert at[0] > 200
    assert at[1] < 150
    assert math.dist(at, (200.0, 150.0)) < 15


def test_equal_marks_have_numbers_of_their_own():
    found, labels, _ = boxes([(200.0, 150.0)] * 6, list("123456"))
    assert len(set(found)) == 6
    assert not any(overlap(one, other) for one, other in itertools.combinations(labels, 2))


@pytest.mark.parametrize("seed", range(40))
def test_heights_are_spread_a_gap_apart_in_their_order_and_no_further_than_need_be(seed):
    rng = np.random.default_rng(seed)
    heights = (100 + rng.choice([3, 30, 100]) * rng.standard_normal(19)).clip(0, 250).tolist()
    found = spread(heights, gap=11.0, low=5.0, high=245.0)
    order = np.argsort(heights, kind="stable")
    assert (np.diff(np.array(found)[order]) >= 11 - 1e-9).all()
    assert 5 - 1e-9 <= min(found) <= max(found) <= 245 + 1e-9
    apart = [50.0 * k for k in range(4)]
    assert spread(apart, gap=11.0, low=-10.0, high=400.0) == apart


def test_where_there_is_no_room_the_gap_is_what_there_is():
    found = spread([10.0] * 30, gap=11.0, low=0.0, high=100.0)
    assert sorted(found) == pytest.approx(np.linspace(0, 100, 30).tolist())
