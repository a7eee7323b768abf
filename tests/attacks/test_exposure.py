"""Who is exposed: what half of the builds say must hold on the other half."""

import dataclasses

import numpy as np
import pytest

from sudare.attacks.membership import LiRA
from sudare.core.estimates import Estimate
from sudare.metrics import precision_at_prior
from sudare.metrics.exposure import (
    exposed_images,
    exposure_stability,
    found_counts,
    trace_precision,
)

from .conftest import make_table

TEST = LiRA(variance="fixed")


def uneven_table(*, share, effect=6.0, images=400, builds=16, seed=0):
    """Only the first ``share`` of the images move with their membership."""
    table = make_table(builds=builds, images=images, population=0, effect=0.0, seed=seed)
    phi = table.signals["phi"].copy()
    exposed = np.arange(images) < share * images
    phi += effect * (table.membership & exposed)[:, :, None]
    return dataclasses.replace(table, signals={**table.signals, "phi": phi}), exposed


def test_no_image_of_a_noise_table_is_exposed():
    for seed in range(5):
        table = make_table(builds=16, images=400, population=0, effect=0.0, seed=seed)
        found = exposed_images(TEST.scores, table, rng=np.random.default_rng(seed))
        assert found.low == found.value == 0


@pytest.mark.parametrize("others", [99, 100, 150, 400])
def test_chance_finds_no_more_than_was_asked(others):
    """The k-th highest of the build's own non-members found 1.9 % at 100 where 1 % was asked."""
    rng = np.random.default_rng(others)
    membership = np.arange(2 * others) < others
    found = [
        found_counts(rng.normal(size=(1, 2 * others)), membership[None], alpha=0.01).found.sum()
        for _ in range(400)
    ]
    rate, exact = np.mean(found) / others, int(0.01 * (others + 1) + 1e-9) / (others + 1)
    assert rate == pytest.approx(exact, abs=5 * (exact / (400 * others)) ** 0.5 + 0.0015)
    assert exact <= 0.01


def test_exposure_on_a_small_pool_is_not_resolvable_instead_of_a_count_of_chance():
    table = make_table(builds=16, images=40, population=0, effect=0.0)
    found = exposed_images(TEST.scores, table, rng=np.random.default_rng(0))
    assert found.value is None
    assert "99 non-members" in found.reason


def test_no_exposed_image_is_not_certainty_that_there_is_none():
    table = make_table(builds=16, images=400, population=0, effect=0.0)
    found = exposed_images(TEST.scores, table, rng=np.random.default_rng(0))
    assert found.high >= 10 / 400


def test_the_share_of_exposed_images_is_found_again():
    """Prefixes are longer than the truth: a mean of 10 % tolerates images that are not found."""
    table, _ = uneven_table(share=0.05)
    found = exposed_images(TEST.scores, table, rng=np.random.default_rng(0))
    assert 0.05 < found.value < 0.6
    assert found.low <= found.value <= found.high
    more, _ = uneven_table(share=0.2)
    assert exposed_images(TEST.scores, more, rng=np.random.default_rng(0)).value > found.value


def test_exposure_is_stable_where_it_is_real_and_not_where_it_is_noise():
    table, _ = uneven_table(share=0.3)
    real = exposure_stability(TEST.scores, table, rng=np.random.default_rng(0))
    assert real.low > 0.3
    noise = [make_table(builds=16, images=400, population=0, effect=0.0, seed=s) for s in range(20)]
    none = [exposure_stability(TEST.scores, table, rng=np.random.default_rng(1)) for table in noise]
    assert abs(np.mean([found.value for found in none])) < 0.03
    assert sum(found.low <= 0 <= found.high for found in none) >= 17


def test_a_trace_that_knows_is_precise_and_one_of_noise_is_not():
    table, exposed = uneven_table(share=0.05)
    rng = np.random.default_rng(1)
    noise = rng.random(table.membership.shape)
    for spread, check in (
        (noise + exposed, lambda e: e.low > 0.3),
        (noise, lambda e: e.low <= 0.05 <= e.high),
    ):
        spread = np.where(table.membership, spread, np.nan)
        found = trace_precision(
            TEST.scores, table, spread, rng=np.random.default_rng(0), share=0.05
        )
        assert check(found)


def test_few_builds_are_not_resolvable():
    table = make_table(builds=6)
    rng = np.random.default_rng(0)
    spread = np.where(table.membership, 1.0, np.nan)
    for found in (
        exposed_images(TEST.scores, table, rng=rng),
        exposure_stability(TEST.scores, table, rng=rng),
        trace_precision(TEST.scores, table, spread, rng=rng, share=0.1),
    ):
        assert found.value is None
        assert "8 builds" in found.reason


def test_precision_at_a_prior_is_bayes_rule():
    half = Estimate(value=0.5, low=0.4, high=0.6, n=9, method="given")
    even = precision_at_prior(half, alpha=0.5, prior=0.5)
    assert even.value == pytest.approx(0.5)
    rare = precision_at_prior(half, alpha=0.01, prior=0.001)
    assert rare.value == pytest.approx(0.001 * 0.5 / (0.001 * 0.5 + 0.999 * 0.01))
    assert rare.low < rare.value < rare.high
    missing = Estimate.unresolvable(n=4, method="given", reason="too few")
    assert precision_at_prior(missing, alpha=0.01, prior=0.1).reason == "too few"
