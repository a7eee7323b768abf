"""Few units: nothing is printed that the records cannot carry, and numpy stays silent."""

import numpy as np
import pytest

from sudare.metrics import LEAST_UNITS, enough_units, membership_estimates


def estimates(scores, members, units):
    return membership_estimates(
        np.asarray(scores, dtype=float)[None],
        np.asarray(members)[None],
        np.asarray(units),
        rng=np.random.default_rng(0),
        alphas=(0.1,),
        draws=200,
    )


@pytest.mark.parametrize("side", [1, 2, 5, LEAST_UNITS - 1])
def test_an_auc_of_few_units_is_unresolvable_without_warnings(side):
    """One member and one non-member printed "AUC 1.000" with exit status 1."""
    members = np.arange(2 * side) < side
    found = estimates(members, members, np.arange(2 * side))
    for estimate in (found.auc, found.balanced_accuracy, found.tpr_at[0.1]):
        assert estimate.value is None
        assert "30 distinct units" in estimate.reason


def test_enough_units_are_judged():
    members = np.arange(2 * LEAST_UNITS) < LEAST_UNITS
    found = estimates(np.random.default_rng(0).normal(size=60), members, np.arange(60))
    assert found.auc.value is not None
    assert enough_units(30, 30) == ""


def test_many_images_of_few_units_are_few():
    members = np.arange(400) < 200
    found = estimates(np.random.default_rng(0).normal(size=400), members, np.arange(400) // 20)
    assert found.auc.value is None


def test_a_rate_between_two_blocks_of_ties_is_unresolvable():
    members = np.arange(400) < 200
    scores = np.where(members, np.arange(400) % 5 < 3, np.arange(400) % 10 < 3)
    found = estimates(scores, members, np.arange(400))
    assert found.auc.value is not None
    assert found.tpr_at[0.1].value is None
    assert "0 and 0.3" in found.tpr_at[0.1].reason
