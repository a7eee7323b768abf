"""What a claim leaves any attacker, against closed forms of the Gaussian mechanism."""

import numpy as np
import pytest
from scipy.stats import norm

from sudare.accounting.curves import auc_ceiling, ceiling_of, mu_of
from sudare.accounting.ledger import LedgerEntry
from sudare.accounting.mechanisms import gaussian_delta


def entry(noise, *, rate=1.0, steps=1, mechanism="Gaussian", epsilon=1.0, delta=1e-5):
    return LedgerEntry(
        purpose="training",
        mechanism=mechanism,
        noise_multiplier=noise,
        sample_rate=rate,
        steps=steps,
        delta=delta,
        epsilon=epsilon,
    )


@pytest.mark.parametrize(("mu", "auc"), [(0.268, 0.575), (0.925, 0.743), (1.666, 0.881)])
def test_the_ceiling_of_one_gaussian_is_that_of_the_best_test(mu, auc):
    """Neyman and Pearson: the AUC between N(0, 1) and N(mu, 1) is Phi(mu / sqrt 2)."""
    assert norm.cdf(mu / 2**0.5) == pytest.approx(auc, abs=5e-4)
    found = ceiling_of([entry(1 / mu)])
    # Never too low; the accountant's error of 0.01 and the grid put it a little higher.
    assert auc <= found.auc <= auc + 0.015
    assert mu <= found.mu <= mu + 0.05


def test_a_dense_curve_of_a_gaussian_gives_its_area():
    points = [(epsilon, gaussian_delta(1.0, epsilon)) for epsilon in np.linspace(0, 6, 200)]
    assert auc_ceiling(points) == pytest.approx(norm.cdf(1 / 2**0.5), abs=2e-3)
    assert mu_of(points) == pytest.approx(1.0, abs=1e-6)


def test_a_curve_says_more_than_one_pair():
    alone = auc_ceiling([(1.0, 1e-5)])
    assert ceiling_of([entry(4.2)]).auc < alone
    # Pure differential privacy: two lines that meet at 1 / (1 + e).
    meet = 1 / (1 + np.e)
    area = meet - np.e * meet**2 / 2 + (1 - meet) ** 2 / (2 * np.e)
    assert auc_ceiling([(1.0, 0.0)]) == pytest.approx(1 - area, abs=1e-3)


def test_more_noise_or_fewer_steps_never_raise_the_ceiling():
    steps = [ceiling_of([entry(2.0, rate=0.2, steps=n)]).auc for n in (10, 40, 160)]
    assert steps == sorted(steps)
    noise = [ceiling_of([entry(sigma, rate=0.2, steps=40)]).auc for sigma in (1.0, 2.0, 4.0)]
    assert noise == sorted(noise, reverse=True)


def test_of_other_mechanisms_only_the_pair_is_known():
    found = ceiling_of([entry(1.0, mechanism="exponential mechanism", epsilon=0.5, delta=0.0)])
    assert found.auc == pytest.approx(auc_ceiling([(0.5, 0.0)]))
    assert found.mu == float("inf")
