"""Three simulations that decided the design: pair exclusion, coverage, the winner's curse."""

import numpy as np
import pytest

from sudare.attacks.membership import LiRA
from sudare.core.scores import Scale, ScoreTable
from sudare.data.plan import draw_plan
from sudare.metrics import auc, membership_estimates, tpr_at_fpr
from sudare.metrics.exposure import exposure, worst_case


def null_table(*, builds, images, seed):
    rng = np.random.default_rng(seed)
    units = np.arange(images)
    plan = draw_plan(units, units % 2, builds=builds, seed=seed)
    phi = rng.normal(size=(builds, images, 1)) + rng.normal(size=(1, images, 1))
    return ScoreTable(
        signals={"phi": phi},
        scales={"phi": Scale.LOGIT},
        membership=plan.membership,
        complement=plan.complement,
        units=units,
        labels=units % 2,
    )


def leave_one_out_lira(table):
    """What the design forbids: the complement stays among the shadows."""
    phi, membership = table.pool("phi")[:, :, 0], table.membership
    scores = np.empty_like(phi)
    for target in range(table.n_builds):
        others = np.arange(table.n_builds) != target
        terms = []
        for side in (membership[others], ~membership[others]):
            values = np.where(side, phi[others], np.nan)
            mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
            terms.append(-np.log(std) - ((phi[target] - mean) / std) ** 2 / 2)
        scores[target] = terms[0] - terms[1]
    return scores


@pytest.mark.parametrize("builds", [8, 16])
def test_null_auc_is_half_when_the_pair_is_excluded(builds):
    aucs = [
        auc(LiRA().scores(t), t.membership)
        for t in (null_table(builds=builds, images=2000, seed=seed) for seed in range(20))
    ]
    error = np.std(aucs, ddof=1) / len(aucs) ** 0.5
    assert error < 0.002
    assert abs(np.mean(aucs) - 0.5) < 4 * error


@pytest.mark.parametrize(("builds", "at_most"), [(8, 0.46), (16, 0.49)])
def test_null_auc_is_visibly_wrong_when_the_complement_stays_a_shadow(builds, at_most):
    aucs = [
        auc(leave_one_out_lira(table), table.membership)
        for table in (null_table(builds=builds, images=2000, seed=seed) for seed in range(10))
    ]
    error = np.std(aucs, ddof=1) / len(aucs) ** 0.5
    assert np.mean(aucs) < at_most
    assert np.mean(aucs) + 4 * error < 0.5


def audit_scores(rng, *, builds, n_units, effect):
    """Scores whose units differ in how exposed they are and carry a shift over all targets."""
    units = np.arange(n_units)
    plan = draw_plan(units, units % 2, builds=builds, seed=int(rng.integers(2**31)))
    exposed = rng.gamma(1.0, effect, size=n_units)
    noise = rng.normal(size=(builds, n_units)) + 0.3 * rng.normal(size=n_units)
    return noise + exposed * plan.membership, plan.membership, units


def test_bootstrap_intervals_cover_auc_and_tpr():
    """200 audits of known truth: the truth is the mean over 1,500 others."""
    rng = np.random.default_rng(7)
    size = {"builds": 8, "n_units": 400, "effect": 0.8}
    truths = np.array(
        [
            (auc(s, k), tpr_at_fpr(s, k, 0.1))
            for s, k, _ in (audit_scores(rng, **size) for _ in range(1500))
        ]
    ).mean(axis=0)
    covered = np.zeros(2)
    trials = 200
    for _ in range(trials):
        scores, membership, units = audit_scores(rng, **size)
        found = membership_estimates(scores, membership, units, rng=rng, alphas=(0.1,), draws=300)
        for index, estimate in enumerate((found.auc, found.tpr_at[0.1])):
            covered[index] += estimate.low <= truths[index] <= estimate.high
    # Binomial error at 200 trials is 1.5 points; 0.90 is three of them below nominal.
    assert (covered / trials >= 0.90).all(), covered / trials
    assert (covered / trials <= 0.99).all(), covered / trials


def test_the_most_exposed_images_of_noise_look_exposed_unless_cross_fitted():
    naive, honest = [], []
    for seed in range(12):
        table = null_table(builds=16, images=1200, seed=seed)
        scores = LiRA().scores(table)
        top = np.argsort(-exposure(scores, table.membership))[:12]
        naive.append(auc(scores[:, top], table.membership[:, top]))
        estimate = worst_case(LiRA().scores, table, rng=np.random.default_rng(seed), draws=100)
        honest.append(estimate.value)
    error = np.std(honest, ddof=1) / len(honest) ** 0.5
    assert np.mean(naive) > 0.8
    assert abs(np.mean(honest) - 0.5) < 4 * error
