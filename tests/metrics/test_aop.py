"""Accuracy over privacy against hand-worked cases and published rows."""

import math

import numpy as np
import pytest

from sudare.core.estimates import Estimate
from sudare.metrics import accuracy_over_privacy


def told(value, low=None, high=None, n=100):
    return Estimate(value=value, low=low, high=high, n=n, method="given")


# Accuracy, AUC and AOP of teachers and students as printed in the public notebook of Resmini et
# al. 2025 (its rows agree with the formula to the second digit).
@pytest.mark.parametrize(
    ("accuracy", "auc", "expected"),
    [
        (0.9752, 0.5389, 0.8395),
        (0.9733, 0.5281, 0.8725),
        (0.8549, 0.7032, 0.4322),
        (0.8822, 0.8253, 0.3238),
    ],
)
def test_published_rows(accuracy, auc, expected):
    found = accuracy_over_privacy(told(accuracy), told(auc))
    assert found.value == pytest.approx(expected, abs=2e-4)


def test_at_chance_it_is_the_accuracy_and_at_a_perfect_attack_a_quarter():
    assert accuracy_over_privacy(told(0.8), told(0.5)).value == pytest.approx(0.8)
    assert accuracy_over_privacy(told(0.8), told(1.0)).value == pytest.approx(0.2)


def test_an_attack_below_chance_is_no_merit_unless_it_is_asked_for():
    assert accuracy_over_privacy(told(0.8), told(0.4)).value == pytest.approx(0.8)
    raw = accuracy_over_privacy(told(0.8), told(0.4), clamp=False)
    assert raw.value == pytest.approx(0.8 / 0.64)


def test_errors_of_both_are_added_in_squares():
    found = accuracy_over_privacy(told(0.8, 0.76, 0.82), told(0.6, 0.57, 0.66))
    value = 0.8 / 1.44
    assert found.low == pytest.approx(value * (1 - math.hypot(0.05, 2 * 0.1)))
    assert found.high == pytest.approx(value * (1 + math.hypot(0.025, 2 * 0.05)))


def test_a_clamped_interval_ends_where_accuracy_does():
    found = accuracy_over_privacy(told(0.8, 0.79, 0.81), told(0.49, 0.45, 0.53))
    assert found.high == pytest.approx(0.81)
    assert found.low == pytest.approx(0.79 / (2 * 0.53) ** 2)


def test_what_is_not_known_makes_it_unknown():
    unknown = Estimate.unresolvable(n=3, method="bootstrap", reason="too few units")
    found = accuracy_over_privacy(told(0.8), unknown)
    assert found.value is None
    assert found.reason == "too few units"


def test_simulated_intervals_cover():
    import numpy as np

    rng, inside = np.random.default_rng(0), 0
    truth = 0.8 / 1.2**2
    for _ in range(2000):
        accuracy, auc = rng.normal(0.8, 0.01), rng.normal(0.6, 0.01)
        found = accuracy_over_privacy(
            told(accuracy, accuracy - 0.0196, accuracy + 0.0196),
            told(auc, auc - 0.0196, auc + 0.0196),
        )
        inside += found.low <= truth <= found.high
    assert 0.93 < inside / 2000 < 0.97


@pytest.mark.parametrize("spread", [0.005, 0.02])
@pytest.mark.parametrize("exact", [True, False])
def test_the_interval_covers_at_chance_too(spread, exact):
    """At the kink of the clamp it held the truth in 66 to 76 % of draws."""
    rng, held, runs = np.random.default_rng(0), 0, 500
    wide = 0.0 if exact else 0.01
    for _ in range(runs):
        leak, right = 0.5 + spread * rng.standard_normal(), 0.8 + wide * rng.standard_normal()
        found = accuracy_over_privacy(
            told(right, right - 1.96 * wide, right + 1.96 * wide),
            told(leak, leak - 1.96 * spread, leak + 1.96 * spread),
        )
        held += found.low <= 0.8 <= found.high
    assert held / runs >= 0.93
