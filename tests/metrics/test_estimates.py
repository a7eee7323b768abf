import numpy as np
import pytest

from sudare.core.errors import AuditError
from sudare.data.plan import draw_plan
from sudare.metrics import (
    accuracy,
    auc,
    balanced_accuracy,
    clopper_pearson,
    expected_calibration_error,
    mean_over_builds,
    membership_estimates,
    recall_per_class,
    tpr_at_fpr,
)


def scores_of(units, *, builds=4, effect=1.0, seed=0):
    rng = np.random.default_rng(seed)
    plan = draw_plan(units, np.zeros_like(units), builds=builds, seed=seed)
    return rng.normal(size=plan.membership.shape) + effect * plan.membership, plan.membership


def test_the_fast_bootstrap_redraws_exactly_what_a_slow_one_would():
    units = np.arange(60) // 2
    scores, membership = scores_of(units)
    scores = np.round(scores, 1)  # ties
    found = membership_estimates(
        scores, membership, units, rng=np.random.default_rng(3), alphas=(0.1,), draws=50
    )
    counts = np.random.default_rng(3).multinomial(30, np.full(30, 1 / 30), size=50)
    slow = []
    for count in counts:
        columns = np.concatenate(
            [np.repeat(np.flatnonzero(units == u), c) for u, c in enumerate(count)]
        )
        drawn, members = scores[:, columns], membership[:, columns]
        slow.append((auc(drawn, members), tpr_at_fpr(drawn, members, 0.1)))
    low, high = np.quantile(slow, [0.025, 0.975], axis=0)
    assert (found.auc.low, found.auc.high) == pytest.approx((low[0], high[0]), abs=1e-12)
    assert (found.tpr_at[0.1].low, found.tpr_at[0.1].high) == pytest.approx(
        (low[1], high[1]), abs=1e-12
    )


def test_intervals_are_wider_when_images_come_in_units():
    single, paired = np.arange(400), np.arange(400) // 8
    rng = np.random.default_rng(0)
    shift = rng.normal(size=50)
    plan = draw_plan(paired, np.zeros(400, dtype=int), builds=8, seed=0)
    scores = rng.normal(size=(8, 400)) * 0.3 + plan.membership * shift[paired]
    width = {}
    for name, units in (("single", single), ("paired", paired)):
        found = membership_estimates(scores, plan.membership, units, rng=np.random.default_rng(1))
        width[name] = found.auc.high - found.auc.low
    assert width["paired"] > 1.5 * width["single"]


def test_balanced_accuracy_calls_half_of_the_images_members():
    units = np.arange(200)
    scores, membership = scores_of(units, effect=50.0)
    found = membership_estimates(scores, membership, units, rng=np.random.default_rng(0))
    assert found.balanced_accuracy.value == 1.0
    flat = membership_estimates(
        np.zeros_like(scores), membership, units, rng=np.random.default_rng(0)
    )
    assert flat.balanced_accuracy.value == 0.5
    assert flat.auc.value == 0.5


def test_an_unresolvable_rate_has_a_reason_and_no_number():
    units = np.arange(60)
    scores, membership = scores_of(units)
    found = membership_estimates(scores, membership, units, rng=np.random.default_rng(0))
    assert found.tpr_at[0.001].value is None
    assert found.tpr_at[0.001].reason == "needs at least 1,000 distinct non-member units"


def test_clopper_pearson_matches_textbook_values():
    found = clopper_pearson(8, 10)
    assert (round(found.low, 4), round(found.high, 4)) == (0.4439, 0.9748)
    assert clopper_pearson(10, 10).high == 1.0
    with pytest.raises(AuditError):
        clopper_pearson(3, 2)


def test_mean_over_builds_is_the_t_interval():
    values = np.array([0.9, 0.92, 0.95, 0.91])
    found = mean_over_builds(values)
    reach = 3.1824463 * np.std(values, ddof=1) / 2
    assert found.high - found.value == pytest.approx(reach, rel=1e-6)
    assert mean_over_builds(np.array([1.0, 1.0])).low == 1.0
    assert (found.n, found.of_units) == (len(values), False)
    with pytest.raises(AuditError):
        mean_over_builds(np.array([np.nan]))


def test_classification_metrics_on_a_hand_made_case():
    scores = np.log(np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2]]))
    labels = np.array([0, 0, 1, 1])
    assert accuracy(scores, labels) == 0.75
    assert recall_per_class(scores, labels).tolist() == [1.0, 0.5]
    assert balanced_accuracy(scores, labels) == 0.75
    # Bins of 1/15: gaps 0.1, 0.4, 0.3 and 0.8 in four different bins, of weight 1/4 each.
    assert expected_calibration_error(scores, labels) == pytest.approx((0.1 + 0.4 + 0.3 + 0.8) / 4)


def test_a_class_without_images_does_not_count():
    scores = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert balanced_accuracy(scores, np.array([0, 1])) == 1.0
