"""Intervals that draw the test images too: golden cases, limits, and coverage in simulation."""

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import beta

from sudare.core.errors import AuditError
from sudare.metrics import crossed_share, mean_over_builds


def test_eight_right_of_eight_are_no_certainty():
    found = crossed_share(np.ones((4, 8)))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.6 < found.low < 0.8
    none = crossed_share(np.zeros((4, 8)))
    assert (none.low, none.value) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - found.low)


def test_builds_that_agree_are_one_binomial_of_the_images():
    """Identical builds say no more than one: Jeffreys' interval of the images, wider by few."""
    right = np.tile(np.arange(200) < 150, (6, 1)).astype(float)
    found = crossed_share(right)
    low, high = beta.ppf([0.025, 0.975], 150.5, 50.5)
    assert found.low == pytest.approx(low, abs=0.006)
    assert found.high == pytest.approx(high, abs=0.006)


def test_one_build_has_no_interval():
    assert crossed_share(np.ones((1, 50))).low is None


def test_classes_may_count_equally():
    strata = np.repeat([0, 1], [90, 10])
    right = np.tile((strata == 0).astype(float), (4, 1))
    assert crossed_share(right).value == pytest.approx(0.9)
    assert crossed_share(right, strata=strata).value == pytest.approx(0.5)


@pytest.mark.parametrize("wrong", [np.zeros((2, 0)), np.full((2, 3), 1.5), np.full((2, 3), np.nan)])
def test_what_is_no_answer_is_refused(wrong):
    with pytest.raises(AuditError):
        crossed_share(wrong)


@pytest.mark.parametrize(("builds", "images"), [(4, 64), (8, 64), (16, 64), (8, 300)])
@pytest.mark.parametrize("truth", [0.5, 0.9])
def test_the_interval_holds_the_accuracy_on_all_images(truth, builds, images):
    """An interval over builds alone held it in 66 to 91 % of draws (64 images)."""
    rng, draws = np.random.default_rng(builds + images), 300
    difficulty, of_builds = 1.5, 0.3
    nodes = rng.normal(0, np.hypot(difficulty, of_builds), 100_000)
    centre = logit(truth)
    for _ in range(40):
        centre += 2 * (truth - expit(centre + nodes).mean())
    held = before = 0
    for _ in range(draws):
        chance = expit(
            centre
            + rng.normal(0, of_builds, builds)[:, None]
            + rng.normal(0, difficulty, images)[None]
        )
        right = (rng.random((builds, images)) < chance).astype(float)
        found = crossed_share(right)
        held += found.low <= truth <= found.high
        over = mean_over_builds(right.mean(axis=1), bounds=(0, 1))
        before += over.low <= truth <= over.high
    # 93 to 97 % give or take the error of 300 draws.
    assert 0.905 <= held / draws <= 0.99
    assert held > before
