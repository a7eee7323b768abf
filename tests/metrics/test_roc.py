import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score, roc_curve

from sudare.core.errors import AuditError
from sudare.metrics import auc, resolvable, roc, tpr_at_fpr


def cases():
    return st.integers(2, 40).flatmap(
        lambda n: st.tuples(
            arrays(np.float64, n, elements=st.integers(-3, 3).map(float)),
            arrays(np.bool_, n).filter(lambda k: k.any() and not k.all()),
        )
    )


@settings(max_examples=200, deadline=None)
@given(cases())
def test_roc_agrees_with_scikit_learn_with_ties(case):
    scores, members = case
    fpr, tpr, _ = roc_curve(members, scores, drop_intermediate=False)
    ours = roc(scores, members)
    np.testing.assert_allclose(ours.fpr, fpr)
    np.testing.assert_allclose(ours.tpr, tpr)
    assert ours.auc == pytest.approx(roc_auc_score(members, scores))


@settings(max_examples=100, deadline=None)
@given(cases(), st.sampled_from([0.01, 0.1, 0.5]))
def test_tpr_at_fpr_is_the_best_real_threshold(case, alpha):
    scores, members = case
    best = 0.0
    for threshold in [*scores, np.inf]:
        called = scores >= threshold
        if called[~members].mean() <= alpha:
            best = max(best, called[members].mean())
    assert tpr_at_fpr(scores, members, alpha) == pytest.approx(best)


def test_a_coin_flip_has_auc_half_even_when_all_scores_are_tied():
    """A peer keeps the first index of each tie and reports 0.125 for this."""
    members = np.array([True, False] * 4)
    assert auc(np.array([0.0, 0.0, 1.0, 1.0] * 2), members) == 0.5
    assert auc(np.zeros(8), members) == 0.5


def test_ties_around_a_rate_are_named_and_not_read_as_nothing_found():
    """TPR 0.6 at FPR 0.3 was printed as TPR 0 at FPR 0.1, and passed a gate at 0.15."""
    members = np.arange(400) < 200
    scores = np.where(members, np.arange(400) % 5 < 3, np.arange(400) % 10 < 3).astype(float)
    reason = roc(scores, members).tied_at(0.1, non_members=200)
    assert reason == "tied scores: the nearest attainable false-positive rates are 0 and 0.3"
    assert roc(scores, members).tied_at(0.3, non_members=200) == ""


def test_scores_without_ties_attain_every_rate():
    rng = np.random.default_rng(0)
    for n in (100, 109, 995, 1000):
        scores, members = rng.normal(size=2 * n), np.arange(2 * n) < n
        for alpha in (0.1, 0.01):
            if n >= 10 / alpha:
                assert roc(scores, members).tied_at(alpha, non_members=n) == ""


def test_monotone_transforms_change_nothing():
    rng = np.random.default_rng(0)
    scores, members = rng.normal(size=50), rng.random(50) < 0.5
    assert auc(np.exp(scores), members) == pytest.approx(auc(scores, members))


def test_scores_outside_the_unit_interval_are_not_squashed():
    """A peer applies a sigmoid to such scores and loses the order of large ones."""
    scores = np.array([1000.0, 1001.0, 1002.0, 1003.0])
    assert auc(scores, np.array([False, True, False, True])) == 0.75


def test_nan_and_one_sided_membership_are_refused():
    with pytest.raises(AuditError, match="NaN"):
        roc(np.array([0.0, np.nan]), np.array([True, False]))
    with pytest.raises(AuditError, match="members and non-members"):
        roc(np.array([0.0, 1.0]), np.array([True, True]))


@pytest.mark.parametrize(
    ("alpha", "units", "pairs", "says"),
    [
        (0.01, 1200, 9600, ""),
        (0.001, 1200, 9600, "needs at least 10,000 non-member scores"),
        (0.001, 999, 10**6, "needs at least 1,000 distinct"),
        (0.001, 1000, 10_000, ""),
    ],
)
def test_sixteen_builds_of_1200_images_resolve_one_percent_and_no_less(alpha, units, pairs, says):
    assert resolvable(alpha, non_member_units=units, non_member_pairs=pairs).startswith(says)
    assert bool(resolvable(alpha, non_member_units=units, non_member_pairs=pairs)) == bool(says)
