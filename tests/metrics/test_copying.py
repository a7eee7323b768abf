import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from sudare.core.errors import AuditError
from sudare.metrics import (
    authenticity,
    closer_to_members,
    copying_score,
    nearest,
    nearness_ratio,
)


def points(n, seed=0, d=5):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_nearest_agrees_with_every_distance_computed():
    items, among = points(2500), points(300, 1) + 100
    every = np.linalg.norm(items[:, None].astype(float) - among[None], axis=2)
    distances, index = nearest(items, among, k=3)
    assert np.allclose(distances, np.sort(every, axis=1)[:, :3], rtol=1e-12)
    assert np.array_equal(index, np.argsort(every, axis=1, kind="stable")[:, :3])


def test_a_copy_is_at_distance_zero_however_large_the_numbers():
    among = points(200) * 1e4 + 1e6
    distances, index = nearest(among[50:60], among)
    assert distances.ravel().tolist() == [0.0] * 10
    assert index.ravel().tolist() == list(range(50, 60))
    with pytest.raises(AuditError, match="3 neighbours cannot be found among 2 items"):
        nearest(among, among[:2], k=3)


def test_copies_show_in_every_diagnostic_and_fresh_images_in_none():
    members, holdout, fresh = points(400), points(400, 1), points(200, 2)
    between = nearest(members, members, k=2)[0][:, 1]

    def diagnostics(released):
        near, which = nearest(released, members, k=2)
        far, _ = nearest(released, holdout, k=2)
        cells = np.zeros(len(released), dtype=int)
        return (
            closer_to_members(near[:, 0], far[:, 0]),
            nearness_ratio(near, far),
            authenticity(near[:, 0], which[:, 0], between),
            copying_score(
                near[:, 0], nearest(holdout, members)[0][:, 0], cells, np.zeros(400, dtype=int)
            ),
        )

    share, ratio, authentic, score = diagnostics(fresh)
    assert share == pytest.approx(0.5, abs=0.1)
    assert ratio == pytest.approx(1, abs=0.05)
    assert authentic > 0.4
    assert abs(score) < 3
    share, ratio, authentic, score = diagnostics(members[:200] + 1e-3)
    assert share > 0.99
    assert ratio < 0.05
    assert authentic == 0
    assert score < -15


def test_the_copying_score_is_the_weighted_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    released, holdout = rng.gamma(2, size=120), rng.gamma(3, size=300)
    released_cells, holdout_cells = rng.integers(3, size=120), rng.integers(3, size=300)
    released_cells[released_cells == 2] = 1
    expected, weight = 0.0, 0
    for cell in (0, 1):
        ours, theirs = released[released_cells == cell], holdout[holdout_cells == cell]
        u = mannwhitneyu(ours, theirs).statistic
        m, p = len(ours), len(theirs)
        expected += p * (u - m * p / 2) / np.sqrt(m * p * (m + p + 1) / 12)
        weight += p
    found = copying_score(released, holdout, released_cells, holdout_cells)
    assert found == pytest.approx(expected / weight)
    assert copying_score(released[:4], holdout, released_cells[:4], holdout_cells) is None
