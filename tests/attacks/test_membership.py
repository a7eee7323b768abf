import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from sudare.attacks.membership import (
    RMIA,
    BaVarIA,
    EntropyThreshold,
    GapAttack,
    LiRA,
    LossThreshold,
    MarginThreshold,
    ModifiedEntropyThreshold,
    OfflineBaVarIA,
    OfflineLiRA,
    OfflineRMIA,
    QuantileRegression,
    ShokriClassifier,
    rmia,
)
from sudare.attacks.membership.bavaria import fit_variance_prior
from sudare.attacks.membership.shokri import fit_and_score
from sudare.attacks.registry import MEMBERSHIP_TESTS, make_test
from sudare.core.errors import AuditError, ConfigError
from sudare.core.scores import Scale, ScoreTable
from sudare.metrics import auc
from sudare.metrics.traces import precision_at, trace_iqr

from . import oracles
from .conftest import make_table

EVERY_TEST = sorted(MEMBERSHIP_TESTS)
ON_PHI = [n for n in EVERY_TEST if MEMBERSHIP_TESTS.load(n).model_fields["signal"].default == "phi"]
SMALL = {"quantile": {"least_population": 100, "trees": 10}}


def small(name):
    """A test by name, content with a small population."""
    return make_test(name, SMALL.get(name, {}))


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("variance", ["fixed", "per-example"])
def test_lira_agrees_with_the_loop_oracle(queries, variance):
    table = make_table(builds=8, queries=queries)
    ours = LiRA(variance=variance).scores(table)
    slow = oracles.lira(
        table.pool("phi"), table.membership, table.complement, fixed=variance == "fixed"
    )
    np.testing.assert_allclose(ours, slow, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tail", ["one-sided", "reference"])
@pytest.mark.parametrize("variance", ["fixed", "per-example"])
def test_offline_lira_agrees_with_the_loop_oracle(tail, variance):
    table = make_table(builds=8, queries=2)
    ours = OfflineLiRA(variance=variance, tail=tail).scores(table)
    slow = oracles.offline_lira(
        table.pool("phi"),
        table.membership,
        table.complement,
        fixed=variance == "fixed",
        reference=tail == "reference",
    )
    np.testing.assert_allclose(ours, slow, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("variance", ["fixed", "per-example"])
def test_multivariate_lira_agrees_with_scipy(variance):
    table = make_table(builds=10, queries=2)
    ours = LiRA(variance=variance, queries="multivariate").scores(table)
    slow = oracles.joint_lira(
        table.pool("phi"), table.membership, table.complement, fixed=variance == "fixed"
    )
    np.testing.assert_allclose(ours, slow, rtol=1e-6, atol=1e-6)


def test_copies_of_a_query_say_no_more_jointly_than_one_does():
    table = make_table(builds=10, images=200)
    twice = dataclasses.replace(
        table, signals={**table.signals, "phi": np.repeat(table.signals["phi"], 2, axis=2)}
    )
    for test in (LiRA, OfflineLiRA):
        joint = test(queries="multivariate", variance="fixed").scores(twice)
        np.testing.assert_allclose(
            joint, test(variance="fixed").scores(table), rtol=1e-4, atol=1e-4
        )


def test_bavaria_agrees_with_the_loop_oracle():
    table = make_table(builds=12)
    ours = BaVarIA(prior="pooled").scores(table)
    slow = oracles.bavaria(table.pool("phi"), table.membership, table.complement)
    np.testing.assert_allclose(ours, slow, rtol=1e-8, atol=1e-8)


def test_a_variance_prior_is_found_again():
    rng = np.random.default_rng(0)
    truth = 2.0 * 8 / rng.chisquare(8, size=200_000)
    samples = truth * rng.chisquare(5, size=truth.shape) / 5
    prior = fit_variance_prior(samples, 5)
    assert prior.freedom == pytest.approx(8, rel=0.05)
    assert prior.variance == pytest.approx(2.0, rel=0.02)


def test_a_variance_prior_is_sure_where_all_variances_are_equal():
    samples = np.random.default_rng(1).chisquare(5, size=500) / 5
    prior = fit_variance_prior(samples, 5)
    assert prior.freedom > 30
    assert np.ptp(prior.posterior(samples, 5)) < 0.5 * np.ptp(samples)


def test_bavaria_beats_lira_where_few_shadows_see_unequal_variances():
    """Variances that differ from image to image: one for all is wrong, seven shadows too few."""
    gains = []
    for seed in range(4):
        table = make_table(builds=16, images=1000, population=0, effect=1.5, seed=seed)
        spread = np.random.default_rng(seed + 99).lognormal(sigma=0.8, size=(1, 1000, 1))
        phi = table.signals["phi"]
        centre = phi.mean(axis=0, keepdims=True)
        uneven = dataclasses.replace(
            table, signals={**table.signals, "phi": centre + (phi - centre) * spread}
        )
        ours = auc(BaVarIA(prior="pooled").scores(uneven), table.membership)
        gains += [
            ours - auc(LiRA(variance=v).scores(uneven), table.membership)
            for v in ("fixed", "per-example")
        ]
    assert min(gains) > 0


def test_the_offline_tail_keeps_growing_where_its_probability_underflows():
    test = OfflineBaVarIA()
    deviations = np.geomspace(1, 1e9, 200)
    for freedom in (6.0, 60.0, 600.0, 6e6):
        surprise = test._surprise(deviations, freedom)
        assert np.isfinite(surprise).all()
        assert (np.diff(surprise) > 0).all()


@pytest.mark.parametrize("a", [0.0, 0.5, 1.0])
def test_offline_rmia_finds_the_extrapolation_on_a_reference_build(a):
    """On a grid of one value, auto is that value."""
    table = make_table(builds=8, images=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rmia, "_GRID", (a,))
        auto = OfflineRMIA(a="auto").scores(table)
    np.testing.assert_allclose(auto, OfflineRMIA(a=a).scores(table), atol=1e-12)


def test_offline_rmia_never_looks_at_its_target_to_choose_a():
    table = make_table(builds=8, images=300)
    before = OfflineRMIA()._extrapolations(table)
    phi = table.signals["phi"].copy()
    phi[:2] += 3.0
    moved = dataclasses.replace(table, signals={**table.signals, "phi": phi})
    after = OfflineRMIA()._extrapolations(moved)
    np.testing.assert_array_equal(before[:2], after[:2])


def test_entropy_and_margin_follow_their_definitions():
    table = make_table(images=30, classes=3)
    posterior, labels = np.exp(table.pool("log_posterior")), table.labels[:30]
    entropy, modified, margin, gap = (
        test().scores(table)
        for test in (EntropyThreshold, ModifiedEntropyThreshold, MarginThreshold, GapAttack)
    )
    for build in range(2):
        for image in range(30):
            p, y = posterior[build, image], labels[image]
            others = [p[k] for k in range(3) if k != y]
            assert entropy[build, image] == pytest.approx(sum(v * math.log(v) for v in p))
            wanted = -(1 - p[y]) * math.log(p[y]) - sum(v * math.log(1 - v) for v in others)
            assert modified[build, image] == pytest.approx(-wanted)
            assert margin[build, image] == pytest.approx(math.log(p[y]) - math.log(max(others)))
            assert gap[build, image] == (p[y] > max(others))


def test_quantile_regression_keeps_its_false_positive_rate_for_every_kind_of_image():
    """The mean and the scatter depend on the image; the found rates must be those asked for."""
    table = make_table(builds=4, images=100, population=6000, effect=0.0)
    rng = np.random.default_rng(3)
    x = table.covariates[:, 0]
    phi = 2 * x + rng.normal(size=(4, 6100)) * np.exp(0.5 * table.covariates[:, 1])
    signals = {**table.signals, "phi": phi[:, :, None]}
    table = dataclasses.replace(table, signals=signals)
    calibration = QuantileRegression().calibration(table)
    error = (calibration.asked * (1 - calibration.asked) / calibration.images / 4) ** 0.5
    excess = calibration.found.mean(axis=0) - calibration.asked
    assert (np.abs(excess) < 4 * error + 0.01).all()


def test_quantile_regression_says_what_it_misses():
    assert "population" in str(QuantileRegression().attackable(make_table()))
    blind = dataclasses.replace(make_table(population=100), covariates=None)
    assert "look like" in str(small("quantile").attackable(blind))


def test_the_loss_trace_of_an_image_that_was_hard_to_learn_is_wide():
    epochs = np.arange(20)[:, None]
    trace = np.concatenate([np.exp(-epochs / 1.0), np.exp(-epochs / 8.0)], axis=1)
    easy, hard = trace_iqr(trace)
    assert hard > 3 * easy
    trace[::2, 0] = np.nan
    assert np.isfinite(trace_iqr(trace)).all()
    with pytest.raises(AuditError, match="epochs"):
        trace_iqr(trace[:3])


def test_precision_of_a_perfect_and_of_a_random_proxy():
    truth = np.random.default_rng(0).normal(size=5000)
    assert precision_at(truth, truth, share=0.01) == 1.0
    noise = np.random.default_rng(1).normal(size=5000)
    assert precision_at(noise, truth, share=0.2) == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("a", [None, 0.3, 1.0])
@pytest.mark.parametrize("queries", [1, 3])
def test_rmia_agrees_with_the_loop_oracle(queries, a):
    table = make_table(builds=8, queries=queries)
    ours = RMIA(gamma=2.0) if a is None else OfflineRMIA(a=a, gamma=2.0)
    pool, population = oracles.rmia_ratio(
        table.pool("phi"), table.population("phi"), table.membership, table.complement, a=a
    )
    published = oracles.rmia_calibrated(pool, population, 2.0)
    np.testing.assert_allclose(ours.calibrated(table), published, atol=1e-9)
    # What is scored is the published share; the ratio only orders what ties in it.
    scores, step = ours.scores(table), 1 / population.shape[1]
    assert (np.abs(scores - published) < step / 2).all()
    for target in range(table.n_builds):
        for share in np.unique(published[target]):
            tied = published[target] == share
            ratio = np.median(np.log(pool[target, tied]), axis=1)
            np.testing.assert_array_equal(np.argsort(scores[target, tied]), np.argsort(ratio))


def test_rmia_without_a_population_ranks_by_the_ratio():
    table = make_table(builds=8, population=0)
    pool, _ = oracles.rmia_ratio(
        table.pool("phi"), np.zeros((8, 0, 1)), table.membership, table.complement
    )
    np.testing.assert_allclose(RMIA().scores(table), np.log(pool[:, :, 0]), rtol=1e-9, atol=1e-9)


def test_rmia_pools_targets_of_shifted_builds_without_loss():
    """The ratio alone lets a confident build's non-members outscore a shy build's members."""
    rng, shares, ratios = np.random.default_rng(0), [], []
    for seed in range(8):
        table = make_table(builds=8, images=300, population=300, effect=0.8, seed=seed)
        shift = 3.0 * rng.normal(size=(8, 1, 1))
        moved = dataclasses.replace(
            table, signals={**table.signals, "phi": table.signals["phi"] + shift}
        )
        shares.append(auc(RMIA().scores(moved), moved.membership))
        alone = dataclasses.replace(
            moved,
            signals={"phi": moved.signals["phi"][:, :300]},
            labels=moved.labels[:300],
            covariates=None,
        )
        ratios.append(auc(RMIA().scores(alone), alone.membership))
    assert np.mean(np.array(shares) - ratios) > 0.01


@pytest.mark.parametrize("size", [1, 2, 5, 64, 200])
def test_rmia_counts_two_queries_as_the_slow_vote_does(size):
    rng = np.random.default_rng(size)
    population, images = (np.round(rng.normal(size=(n, 2)), 1) for n in (size, 150))
    slow = (population[None] < images[:, None]).all(axis=2).mean(axis=1)
    np.testing.assert_array_equal(rmia._Beaten(population).share(images), slow)


@pytest.mark.parametrize("test", [RMIA(), OfflineRMIA(a=1.0)])
def test_rmia_does_not_tie_images_that_only_the_target_is_sure_of(test):
    """A floor under the reference tied 84 of 3,600 non-members at the top: TPR at 1 % was 0."""
    table = make_table(builds=8, images=200, population=100, effect=0.0)
    phi = table.signals["phi"] * 20 - 100
    sure = np.arange(200) < 60
    phi[0, :200][sure] = 50 + np.arange(60)[:, None]
    saturated = dataclasses.replace(table, signals={**table.signals, "phi": phi})
    assert len(np.unique(test.scores(saturated)[0, sure])) == 60


def test_modified_entropy_tells_sure_answers_apart():
    """Log p rounds to 0 above phi 36; a quarter of the scores of one DP-SGD build tied there."""
    table = make_table(builds=4, images=40, population=0)
    phi = 30 + np.arange(160.0).reshape(4, 40)
    labels = table.labels[:, None] == np.arange(2)
    posterior = np.where(labels[None], -np.log1p(np.exp(-phi))[:, :, None], -phi[:, :, None])
    sure = dataclasses.replace(
        table, signals={"log_posterior": posterior.astype(np.float32)}, covariates=None
    )
    scores = ModifiedEntropyThreshold().scores(sure)
    assert len(np.unique(scores)) == 160
    np.testing.assert_array_equal(np.argsort(scores.ravel()), np.argsort(phi.ravel()))


def test_modified_entropy_agrees_with_its_definition():
    rng = np.random.default_rng(3)
    table = make_table(builds=4, images=40, population=0, classes=3)
    p = rng.dirichlet([0.2] * 3, size=(4, 40))
    given = dataclasses.replace(table, signals={"log_posterior": np.log(p)}, covariates=None)
    own = np.take_along_axis(p, table.labels[None, :, None], axis=2)[:, :, 0]
    slow = -(1 - own) * np.log(own)
    for c in range(3):
        slow -= np.where(table.labels == c, 0.0, p[:, :, c] * np.log1p(-p[:, :, c]))
    np.testing.assert_allclose(ModifiedEntropyThreshold().scores(given), -slow, rtol=1e-6)


def test_constant_loss_traces_are_as_precise_as_chance():
    """Position broke ties: members stand first, and a constant guess was right about all."""
    truth = (np.arange(1000) < 10).astype(float)
    assert precision_at(np.zeros(1000), truth, share=0.01) == pytest.approx(0.01)
    assert precision_at(truth, np.zeros(1000), share=0.01) == pytest.approx(0.01)


def test_offline_lira_one_sided_gives_auc_066_where_two_sided_gives_056():
    """The golden toy of the brief: in ~ N(0.6, 1), out ~ N(0, 1)."""
    table = make_table(builds=32, images=4000, population=0, effect=0.6)
    one = auc(OfflineLiRA(variance="fixed").scores(table), table.membership)
    two = auc(OfflineLiRA(variance="fixed", tail="reference").scores(table), table.membership)
    # Fifteen shadows estimate each mean with variance 1/15: d' = 0.6 / sqrt(1 + 1/15).
    assert one == pytest.approx(0.66, abs=0.01)
    assert two == pytest.approx(0.56, abs=0.015)


@pytest.mark.parametrize("name", EVERY_TEST)
def test_every_test_gives_half_auc_on_noise(name):
    aucs = []
    for seed in range(6):
        table = make_table(builds=8, images=300, population=100, effect=0.0, seed=seed)
        aucs.append(auc(small(name).scores(table), table.membership))
    spread = np.std(aucs, ddof=1) / len(aucs) ** 0.5
    assert abs(np.mean(aucs) - 0.5) < 4 * spread + 0.005


@pytest.mark.parametrize("name", ON_PHI)
def test_every_test_on_phi_finds_a_large_effect(name):
    table = make_table(builds=8, images=400, population=100, effect=4.0)
    assert auc(small(name).scores(table), table.membership) > 0.75


@pytest.mark.parametrize("name", EVERY_TEST)
def test_scores_follow_a_permutation_of_the_images(name):
    table = make_table(images=40, population=100)
    order = np.random.default_rng(1).permutation(40)
    columns = np.concatenate([order, np.arange(40, 140)])
    permuted = dataclasses.replace(
        table,
        signals={n: v[:, columns] for n, v in table.signals.items()},
        membership=table.membership[:, order],
        units=table.units[order],
        labels=table.labels[columns],
        covariates=table.covariates[columns],
    )
    test = small(name)
    np.testing.assert_allclose(
        test.scores(permuted), test.scores(table)[:, order], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", EVERY_TEST)
def test_constant_scores_give_half_auc(name):
    table = make_table(images=40, population=100)
    constant = {name: np.zeros_like(values) for name, values in table.signals.items()}
    flat = dataclasses.replace(table, signals=constant)
    assert auc(small(name).scores(flat), flat.membership) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("name", EVERY_TEST)
def test_the_fewest_builds_are_enough(name):
    builds = MEMBERSHIP_TESTS.load(name).least_builds
    table = make_table(builds=builds, images=60, population=100)
    assert np.isfinite(small(name).scores(table)).all()


@settings(max_examples=25, deadline=None)
@given(shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_lira_does_not_care_about_shift_and_scale_of_the_signal(shift, scale):
    table = make_table(images=20, population=0)
    moved = ScoreTable(
        signals={"phi": table.signals["phi"] * scale + shift},
        scales={"phi": Scale.LOGIT},
        membership=table.membership,
        complement=table.complement,
        units=table.units,
        labels=table.labels,
    )
    np.testing.assert_allclose(LiRA().scores(moved), LiRA().scores(table), rtol=1e-6, atol=1e-6)


def test_a_saturated_model_does_not_collapse_into_ties():
    table = make_table(images=50, effect=0.5)
    moved = ScoreTable(
        signals={"phi": table.signals["phi"] + 40.0},
        scales={"phi": Scale.LOGIT},
        membership=table.membership,
        complement=table.complement,
        units=table.units,
        labels=table.labels,
    )
    for test in (LossThreshold(), OfflineLiRA()):
        assert len(np.unique(test.scores(moved)[0])) == 50


def test_nan_signals_are_refused():
    table = make_table()
    broken = table.signals["phi"].copy()
    broken[3, 5] = np.nan
    with pytest.raises(AuditError, match="NaN"):
        ScoreTable(
            signals={"phi": broken},
            scales={"phi": Scale.LOGIT},
            membership=table.membership,
            complement=table.complement,
            units=table.units,
            labels=table.labels,
        )


def test_partners_that_are_not_complements_are_refused():
    table = make_table()
    with pytest.raises(AuditError, match="complement"):
        table.with_membership(np.roll(table.membership, 1, axis=0))


def test_a_test_says_why_it_cannot_run():
    table = make_table()
    assert "phi2" in str(LiRA(signal="phi2").attackable(table))
    assert "scale" in str(ShokriClassifier(signal="phi").attackable(table))
    with pytest.raises(AuditError, match="cannot run"):
        LiRA(signal="log_posterior").scores(table)


def test_unknown_tests_and_settings_are_refused():
    with pytest.raises(ConfigError, match="there is no membership test called 'lyra'"):
        make_test("lyra", {})
    with pytest.raises(ConfigError, match="gamma"):
        make_test("rmia", {"gamma": 0.5})


def test_a_trial_of_one_model_is_a_table_of_one_row():
    """No builds are made up for it: tests without shadows run, the others say what they lack."""
    pairs = make_table(builds=4, images=60, population=0)
    trial = dataclasses.replace(
        pairs,
        signals={name: values[:1] for name, values in pairs.signals.items()},
        membership=pairs.membership[:1],
        complement=np.arange(1),
    )
    assert not trial.has_shadows
    np.testing.assert_array_equal(
        LossThreshold().scores(trial)[0], LossThreshold().scores(pairs)[0]
    )
    assert "shadow builds" in LiRA().attackable(trial)
    with pytest.raises(AuditError, match="cannot run"):
        RMIA().scores(trial)


def test_the_shadow_classifier_is_the_minimum_of_its_penalised_loss():
    rng = np.random.default_rng(0)
    shadow = rng.normal(size=(3, 200, 4)) * [1, 5, 0.1, 1] + [0, 3, 0, 0]
    # Constant but for rounding: it must carry no weight.
    shadow[:, :, 3] = 0.1 + 1e-17
    member = rng.random((3, 200)) < 1 / (1 + np.exp(-shadow[:, :, 0]))
    rows = shadow.reshape(-1, 4)[:, :3]
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)

    def loss(weights):
        margin = rows @ weights[:3] + weights[3]
        return np.logaddexp(0, np.where(member.ravel(), -margin, margin)).sum() + (
            weights[:3] @ weights[:3] / 2
        )

    best = optimize.minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    target = shadow[0]
    expected = rows[:200] @ best[:3] + best[3]
    np.testing.assert_allclose(fit_and_score(shadow, member, target), expected, atol=1e-3)
