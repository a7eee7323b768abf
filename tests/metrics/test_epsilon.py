import numpy as np
import pytest
from scipy.stats import beta, norm

from sudare.core.errors import AuditError
from sudare.metrics.epsilon import (
    epsilon_from_counts,
    epsilon_from_gaussian,
    epsilon_from_threshold,
    epsilon_one_run,
    epsilon_one_run_fdp,
    gaussian_epsilon,
    one_run_ceiling,
    one_run_guesses,
)


@pytest.mark.parametrize(
    ("counts", "delta", "golden"),
    [
        ((2100, 25000, 25, 25000), 1e-5, 4.0000),
        ((560, 25000, 0, 25000), 1e-5, 4.9385),
        ((500, 1000, 0, 1000), 1e-5, 4.8461),
        ((75, 1000, 50, 1000), 1e-5, 0.0),
        ((1000, 1000, 0, 1000), 0.0, 5.6006),
    ],
)
def test_golden_values_of_the_threshold_bound(counts, delta, golden):
    assert epsilon_from_counts(*counts, delta=delta) == pytest.approx(golden, abs=5e-5)


@pytest.mark.parametrize(
    ("canaries", "guesses", "correct", "delta", "golden"),
    [
        (1000, 1000, 600, 1e-5, 0.2972),
        (1000, 1000, 800, 1e-5, 1.2540),
        (1000, 200, 180, 1e-5, 1.7963),
        (1000, 200, 199, 1e-5, 3.7110),
        (1000, 100, 100, 1e-5, 3.4654),
        (5000, 1000, 990, 1e-5, 4.0429),
        (5000, 1000, 1000, 1e-5, 5.6729),
        (1000, 100, 100, 0.0, 3.4930),
        (1000, 1000, 1000, 0.0, 5.8091),
        (1000, 1000, 520, 0.0, 0.0),
    ],
)
def test_golden_values_of_the_one_run_bound(canaries, guesses, correct, delta, golden):
    found = epsilon_one_run(guesses, correct, canaries, delta=delta)
    assert found == pytest.approx(golden, abs=5e-5)


def test_a_hundred_guesses_cannot_prove_more_than_their_ceiling():
    ceiling = one_run_ceiling(100, 1000)
    assert ceiling == pytest.approx(np.log(0.05**0.01 / (1 - 0.05**0.01)), abs=1e-6)
    assert epsilon_one_run(100, 99, 1000) < ceiling


def test_the_one_run_bound_holds_for_randomised_response():
    """The mechanism that is exactly epsilon-DP: the bound may exceed epsilon in 5 % at most."""
    rng, epsilon, trials = np.random.default_rng(0), 1.0, 400
    rate = 1 / (1 + np.exp(-epsilon))
    right = rng.binomial(500, rate, size=trials)
    above = np.mean([epsilon_one_run(500, int(v), 500) > epsilon for v in right])
    assert above < 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5
    assert np.median([epsilon_one_run(500, int(v), 500) for v in right]) > 0.7


@pytest.mark.parametrize("choice", ["bonferroni", "split"])
def test_a_worthless_score_proves_nothing_in_95_of_100_audits(choice):
    rng, trials = np.random.default_rng(1), 600
    members = np.arange(1000) < 500
    found = [
        epsilon_from_threshold(
            rng.normal(size=1000), members, choice=choice, rng=rng, grid=(0.002, 0.01, 0.1, 0.5)
        ).low
        for _ in range(trials)
    ]
    assert np.mean(np.array(found) > 0) <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_trying_every_threshold_without_correction_finds_epsilon_in_noise():
    """Why there is a grid: the best of all thresholds beats its nominal 5 % on noise."""
    rng, n, hits = np.random.default_rng(2), 2000, 0
    counts = np.arange(n + 1)
    low = np.nan_to_num(beta.ppf(0.025, counts, n - counts + 1))
    high = np.nan_to_num(beta.ppf(0.975, counts + 1, n - counts), nan=1.0)
    for _ in range(300):
        members = np.append(rng.permutation(np.arange(2 * n) < n), False)
        true, false = np.cumsum(members[:-1]), np.cumsum(~members[:-1])
        hits += (low[true] > high[false]).any() or (low[n - false] > high[n - true]).any()
    assert hits / 300 > 0.07


def test_an_order_statistic_leaves_the_clopper_pearson_bound_exact():
    """The true rate beyond the chosen threshold exceeds its upper bound in 2.5 % of draws."""
    rng, n, k = np.random.default_rng(3), 200, 2
    threshold = np.sort(rng.random(size=(20_000, n)), axis=1)[:, -(k + 1)]
    upper = beta.ppf(0.975, k + 1, n - k)
    assert np.mean(1 - threshold > upper) == pytest.approx(0.025, abs=0.004)


def test_the_gaussian_bound_covers_and_comes_close():
    rng, mu, delta = np.random.default_rng(4), 1.0, 1e-5
    truth, members = gaussian_epsilon(mu, delta), np.arange(4000) < 2000
    found = np.array(
        [
            epsilon_from_gaussian(rng.normal(size=4000) + mu * members, members, delta=delta).low
            for _ in range(200)
        ]
    )
    assert np.mean(found > truth) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    assert np.median(found) > 0.8 * truth


def test_the_gaussian_curve_agrees_with_its_definition():
    epsilon = gaussian_epsilon(1.5, 1e-5)
    delta = norm.cdf(-epsilon / 1.5 + 0.75) - np.exp(epsilon) * norm.cdf(-epsilon / 1.5 - 0.75)
    assert delta == pytest.approx(1e-5, rel=1e-6)
    assert gaussian_epsilon(0.0, 1e-5) == 0.0


def test_guesses_are_the_extremes_of_the_scores():
    scores = np.array([5.0, 1.0, 4.0, 0.0, 3.0])
    members = np.array([True, False, False, True, True])
    rng = np.random.default_rng(0)
    assert one_run_guesses(scores, members, top=2, bottom=2, rng=rng) == (4, 2)


def test_tied_guesses_know_nothing_of_the_order_of_the_canaries():
    """Members first and constant scores were 100 right guesses of 100, an epsilon of 3.47."""
    members = np.arange(1000) < 500
    rng = np.random.default_rng(0)
    right = [
        one_run_guesses(np.zeros(1000), members, top=50, bottom=50, rng=rng)[1] for _ in range(200)
    ]
    assert np.mean(right) == pytest.approx(50, abs=1.5)
    refuted = [epsilon_one_run(100, v, 1000, delta=1e-5) > 0 for v in right]
    assert np.mean(refuted) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


@pytest.mark.parametrize(
    ("canaries", "guesses", "correct", "epsilon"),
    [
        (1000, 1000, 600, 0.5835),
        (1000, 1000, 800, 2.3332),
        (1000, 200, 180, 2.9012),
        (1000, 200, 199, 6.3293),
        (1000, 100, 100, 5.5490),
        (5000, 1000, 990, 6.3656),
        (1000, 1000, 520, 0.0),
        (200, 50, 40, 1.3132),
    ],
)
def test_one_run_epsilon_by_the_whole_curve(canaries, guesses, correct, epsilon):
    """Golden values of jax_privacy's _epsilon_one_run_fdp at 5 %, delta 1e-5."""
    found = epsilon_one_run_fdp(guesses, correct, canaries, delta=1e-5)
    assert found == pytest.approx(epsilon, abs=1e-4)


def test_one_run_epsilon_by_the_whole_curve_covers():
    rng, mu, refuted = np.random.default_rng(8), 1.0, []
    truth = gaussian_epsilon(mu, 1e-5)
    for _ in range(300):
        members = rng.random(1000) < 0.5
        scores = rng.normal(size=1000) + mu * members
        made, right = one_run_guesses(scores, members, top=100, bottom=100, rng=rng)
        refuted.append(epsilon_one_run_fdp(made, right, 1000, delta=1e-5) > truth)
    assert np.mean(refuted) <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_counts_that_are_none_are_refused():
    with pytest.raises(AuditError, match="is not a rate"):
        epsilon_from_counts(5, 4, 0, 10)
    with pytest.raises(AuditError, match="guesses"):
        epsilon_one_run(10, 11, 100)
    with pytest.raises(AuditError, match="guesses"):
        one_run_guesses(
            np.zeros(3), np.zeros(3, dtype=bool), top=2, bottom=2, rng=np.random.default_rng(0)
        )
    with pytest.raises(AuditError, match="guesses"):
        epsilon_one_run_fdp(10, 11, 100, delta=1e-5)
    with pytest.raises(AuditError, match="delta"):
        epsilon_one_run_fdp(10, 9, 100, delta=0.0)
    with pytest.raises(AuditError, match="delta"):
        epsilon_from_gaussian(np.zeros(4), np.arange(4) < 2, delta=0.0)
