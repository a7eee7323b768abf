"""Defects that other tools have or had; each test fails if ours gets the same one."""

import dataclasses

import numpy as np
import pytest

from sudare.attacks.membership.dirac import check_sampling
from sudare.attacks.registry import make_test
from sudare.attacks.signals import logit_confidence
from sudare.audits.checks.trial import Trial
from sudare.core.errors import ConfigError
from sudare.core.scores import Scale, ScoreTable
from sudare.data.plan import draw_plan
from sudare.metrics import (
    auc,
    epsilon_from_counts,
    epsilon_from_gaussian,
    epsilon_from_threshold,
    roc,
    tpr_at_fpr,
)


def table(seed=0, builds=8, images=300, population=200, effect=1.0):
    rng = np.random.default_rng(seed)
    units = np.arange(images)
    plan = draw_plan(units, units % 3, builds=builds, seed=seed)
    phi = rng.normal(size=(builds, images + population, 1)) + 2 * rng.normal(
        size=(images + population, 1)
    )
    phi[:, :images, 0] += effect * plan.membership
    return ScoreTable(
        signals={"phi": phi},
        scales={"phi": Scale.LOGIT},
        membership=plan.membership,
        complement=plan.complement,
        units=units,
        labels=np.arange(images + population) % 3,
        covariates=rng.normal(size=(images + population, 4)).astype(np.float32),
    )


def test_tied_scores_count_all_images_of_a_threshold():
    """An ROC that keeps the first of equal scores gives a coin flip an AUC of 0.125."""
    scores = np.repeat([1.0, 0.0], 400)
    members = np.tile([True, False], 400)
    assert auc(scores, members) == 0.5
    curve = roc(scores, members)
    assert curve.fpr.tolist() == [0, 0.5, 1]
    assert curve.tpr.tolist() == [0, 0.5, 1]
    assert tpr_at_fpr(scores, members, 0.1) == 0


def test_a_regression_target_keeps_its_fraction_and_every_image():
    """A quantile regressor was trained on integers, and on the last batch only."""
    small = table(population=400)
    phi = small.signals["phi"].copy()
    # All that matters lies between two integers, and only the first images know the slope.
    kind = small.covariates[:, 0] > 0
    phi[:, :, 0] = 0.2 + 0.5 * kind + 0.01 * phi[:, :, 0]
    shifted = dataclasses.replace(small, signals={"phi": phi})
    residual = make_test("quantile", {"least_population": 100}).scores(shifted)
    groups = [residual[:, kind[:300]].mean(), residual[:, ~kind[:300]].mean()]
    assert abs(groups[0] - groups[1]) < 0.5 * residual.std()


def test_offline_tests_never_look_at_builds_that_had_the_image():
    """Offline tests elsewhere average all shadows, or mix up those with and without the image."""
    before = table()
    phi = before.signals["phi"].copy()
    inside = before.membership
    shaken = phi.copy()
    shaken[:, : before.n_images, 0] += (
        5 * inside * np.random.default_rng(1).normal(size=inside.shape)
    )
    after = dataclasses.replace(before, signals={"phi": shaken})
    for name in ("rmia_offline", "lira_offline", "bavaria_offline"):
        settings = {"a": 0.3} if name == "rmia_offline" else {}
        # Fixed variances pool over images, so that only the per-example form is local.
        settings |= {"variance": "per-example"} if name == "lira_offline" else {}
        settings |= {"prior": "pooled"} if name == "bavaria_offline" else {}
        one, two = (make_test(name, settings).scores(t) for t in (before, after))
        # Where a target did not have an image, neither its score nor its shadows' changed.
        assert np.allclose(one[~inside], two[~inside])


def test_every_shadow_counts_for_population_images_since_none_had_them():
    """p(z) elsewhere averages models that were trained on z with those that were not."""
    small, gamma, a = table(), 2.0, 0.3
    share = make_test("rmia_offline", {"a": a, "gamma": gamma}).calibrated(small)
    confidence = 1 / (1 + np.exp(-small.signals["phi"][:, :, 0]))
    images = small.n_images
    for target in (0, 5):
        shadows = np.setdiff1d(np.arange(8), [target, small.complement[target]])
        out = ~small.membership[shadows]
        mean_x = (confidence[shadows][:, :images] * out).sum(axis=0) / out.sum(axis=0)
        mean_z = confidence[shadows][:, images:].mean(axis=0)
        ratio_x, ratio_z = (
            own / (((1 + a) * mean + 1 - a) / 2)
            for own, mean in (
                (confidence[target, :images], mean_x),
                (confidence[target, images:], mean_z),
            )
        )
        expected = (ratio_x[:, None] > gamma * ratio_z[None]).mean(axis=1)
        assert np.allclose(share[target], expected, atol=1e-12)


def test_an_unknown_attack_is_named_with_those_there_are():
    """An error path elsewhere fails itself, on an attribute that does not exist."""
    with pytest.raises(ConfigError, match=r"no membership test called 'lyra'.*lira"):
        make_test("lyra", {})


def test_epsilon_is_never_negative():
    """A clamp elsewhere passes the zero as an axis; the result was -1.2."""
    for found, false in ((0, 50), (30, 50), (50, 50), (0, 0)):
        assert epsilon_from_counts(found, 50, false, 50) >= 0


@pytest.mark.parametrize("choice", ["bonferroni", "split"])
def test_worthless_scores_prove_no_epsilon(choice):
    """Maximised over thresholds without correction, they prove 3 and more."""
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scores, members = rng.normal(size=600), np.arange(600) < 300
        found = epsilon_from_threshold(scores, members, choice=choice, rng=rng)
        wrong += found.low > 0
    assert wrong <= 10


def test_worthless_scores_prove_no_gaussian_epsilon():
    """A library reported 3.5 to 5.9 here until it was mended."""
    bounds = []
    for seed in range(100):
        scores = np.random.default_rng(seed).normal(size=600)
        bounds.append(epsilon_from_gaussian(scores, np.arange(600) < 300, delta=1e-5).low)
    assert np.mean(np.array(bounds) > 0) <= 0.1
    assert max(bounds) < 1


def test_the_null_control_really_redraws():
    """A permutation elsewhere rebinds local names, so that nothing is permuted."""
    small = table()
    trial = Trial.of(small.membership, small.units, small.labels[: small.n_images], seed=0)
    null = small.with_membership(trial.nulls[0])
    agree = np.mean(null.membership == small.membership)
    assert agree == pytest.approx(0.5, abs=0.05)
    test = make_test("rmia", {})
    assert auc(test.scores(small), small.membership) > 0.7
    assert auc(test.scores(null), null.membership) == pytest.approx(0.5, abs=0.06)


def test_confident_scores_do_not_collapse_into_ties():
    """A sigmoid, or softmax in float32, maps every logit above 17 to 1."""
    logits = np.stack([np.linspace(20, 700, 200), np.zeros(200)], axis=1)
    phi = logit_confidence(logits.astype(np.float32), np.zeros(200, dtype=int))
    assert len(np.unique(phi)) == 200
    assert np.allclose(phi, logits[:, 0])


def test_a_sampler_that_prefers_some_records_is_refuted():
    """A weighted sampler elsewhere gets the epsilon of a uniform one."""
    rng = np.random.default_rng(0)
    weight = np.where(np.arange(500) < 50, 4.0, 1.0)
    rate = 0.05 * weight / weight.mean()
    weighted = [np.flatnonzero(rng.random(500) < rate) for _ in range(100)]
    fair = [np.flatnonzero(rng.random(500) < 0.05) for _ in range(100)]
    assert check_sampling(weighted, records=500, rate=0.05).refuted
    assert not check_sampling(fair, records=500, rate=0.05).refuted
