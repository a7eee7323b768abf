import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sudare.attacks.membership import (
    RMIA,
    LiRA,
    LossThreshold,
    OfflineLiRA,
    OfflineRMIA,
    ShokriClassifier,
)
from sudare.attacks.registry import MEMBERSHIP_TESTS, make_test
from sudare.core.errors import AuditError, ConfigError
from sudare.core.scores import Scale, ScoreTable
from sudare.metrics import auc

from . import oracles
from .conftest import make_table

EVERY_TEST = sorted(MEMBERSHIP_TESTS)


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


@pytest.mark.parametrize("a", [None, 0.3, 1.0])
@pytest.mark.parametrize("queries", [1, 3])
def test_rmia_agrees_with_the_loop_oracle(queries, a):
    table = make_table(builds=8, queries=queries)
    ours = RMIA() if a is None else OfflineRMIA(a=a)
    pool, population = oracles.rmia_ratio(
        table.pool("phi"), table.population("phi"), table.membership, table.complement, a=a
    )
    np.testing.assert_allclose(
        ours.scores(table),
        np.log(np.median(pool, axis=2)) if queries == 1 else np.median(np.log(pool), axis=2),
        rtol=1e-9,
        atol=1e-9,
    )
    np.testing.assert_allclose(
        ours.calibrated(table), oracles.rmia_calibrated(pool, population, 2.0), atol=1e-9
    )


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
        table = make_table(builds=8, images=300, population=60, effect=0.0, seed=seed)
        aucs.append(auc(make_test(name, {}).scores(table), table.membership))
    spread = np.std(aucs, ddof=1) / len(aucs) ** 0.5
    assert abs(np.mean(aucs) - 0.5) < 4 * spread + 0.005


@pytest.mark.parametrize("name", sorted(set(EVERY_TEST) - {"shokri"}))
def test_every_test_on_phi_finds_a_large_effect(name):
    table = make_table(builds=8, images=400, population=60, effect=4.0)
    assert auc(make_test(name, {}).scores(table), table.membership) > 0.75


@pytest.mark.parametrize("name", EVERY_TEST)
def test_scores_follow_a_permutation_of_the_images(name):
    table = make_table(images=40)
    order = np.random.default_rng(1).permutation(40)
    columns = np.concatenate([order, np.arange(40, 70)])
    permuted = ScoreTable(
        signals={n: v[:, columns] for n, v in table.signals.items()},
        scales=table.scales,
        membership=table.membership[:, order],
        complement=table.complement,
        units=table.units[order],
        labels=table.labels[columns],
    )
    test = make_test(name, {})
    np.testing.assert_allclose(
        test.scores(permuted), test.scores(table)[:, order], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", EVERY_TEST)
def test_constant_scores_give_half_auc(name):
    table = make_table(images=40)
    constant = {name: np.zeros_like(values) for name, values in table.signals.items()}
    flat = ScoreTable(
        signals=constant,
        scales=table.scales,
        membership=table.membership,
        complement=table.complement,
        units=table.units,
        labels=table.labels,
    )
    assert auc(make_test(name, {}).scores(flat), flat.membership) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("name", EVERY_TEST)
def test_one_shadow_in_and_out_is_enough(name):
    table = make_table(builds=4, images=60)
    assert np.isfinite(make_test(name, {}).scores(table)).all()


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
