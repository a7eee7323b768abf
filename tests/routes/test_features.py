"""The distributions against independent oracles: closed forms, brute force, scipy."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad

from sudare.accounting.mechanisms import gaussian_delta, gaussian_sigma, private_quantile
from sudare.attacks.features.bounds import bounds_touched, expected_share
from sudare.attacks.features.latent import LatentSearch
from sudare.attacks.features.nearest import covered, nearest_distance
from sudare.core.errors import ConfigError, DataError
from sudare.core.progress import Silent
from sudare.data.images import ImageDataset
from sudare.releases.samplers import DecoderSampler, GaussianSampler
from sudare.routes import make_route, parse_route
from sudare.routes.base import Role
from sudare.routes.context import BuildContext
from sudare.routes.features.config import CvaeConfig, DpGaussianConfig, GaussianConfig, KSameConfig
from sudare.routes.features.cvae import Cvae, fit_cvae, kl_divergence
from sudare.routes.features.dp_gaussian import fit_dp_gaussian, released_sums
from sudare.routes.features.fitting import Private
from sudare.routes.features.gaussian import fit_gaussian
from sudare.routes.features.ksame import fit_ksame, greedy_groups


def private(n=120, dim=6, classes=2, seed=0, public=200):
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % classes).astype(np.int64)
    mixing = rng.normal(size=(dim, dim))
    features = (rng.normal(size=(n, dim)) @ mixing + 2 * labels[:, None]).astype(np.float32)
    return Private(
        features=features,
        labels=labels,
        class_names=tuple("abcdef"[:classes]),
        public=rng.normal(size=(public, dim)).astype(np.float32),
        seed=seed,
        leaves=False,
        device="cpu",
        progress=Silent(),
        name="here",
    )


# --- conditional VAE


def test_the_textbook_kl_is_that_of_two_gaussians():
    torch.manual_seed(0)
    mean, sigma = torch.randn(4, 3), torch.rand(4, 3) + 0.1
    normal = torch.distributions.Normal
    oracle = torch.distributions.kl_divergence(normal(mean, sigma), normal(0.0, 1.0)).sum(dim=1)
    assert torch.allclose(kl_divergence(mean, sigma, paper=False), oracle, atol=1e-5)


def test_the_published_term_is_smallest_at_a_variance_of_one_half():
    sigma = torch.linspace(0.3, 1.5, 1201)[:, None]
    values = kl_divergence(torch.zeros_like(sigma), sigma, paper=True)
    assert float(sigma[values.argmin()] ** 2) == pytest.approx(0.5, abs=2e-3)


@pytest.mark.parametrize("mode", ["paper", "textbook"])
def test_the_loss_is_squared_error_plus_beta_kl_by_hand(mode):
    net = Cvae(5, 2, CvaeConfig(mode=mode, latent=3, hidden=4))
    features, onehot, noise = torch.rand(2, 5), torch.eye(2), torch.randn(2, 3)
    first, second, third = net.encoder
    head = third(second(first(torch.cat([features, onehot], dim=1))))
    mean, raw = head[:, :3], head[:, 3:]
    sigma = raw.exp() if mode == "paper" else (0.5 * raw).exp()
    z = mean + sigma * noise
    hidden = torch.relu(net.hidden(torch.cat([z, onehot], dim=1)))
    rebuilt = torch.sigmoid(net.output(hidden))
    error = ((rebuilt - features) ** 2).sum(dim=1)
    if mode == "paper":
        kl = (sigma**2 + mean**2 - raw - 0.5).sum(dim=1)
    else:
        kl = 0.5 * (sigma**2 + mean**2 - 1 - raw).sum(dim=1)
    assert torch.allclose(net.losses(features, onehot, noise, beta=0.3), error + 0.3 * kl)


def test_the_elbo_is_a_bound_on_the_likelihood_of_a_linear_model():
    # One number, one latent: p(x) in closed form by quadrature, beta 1 and unit noise.
    net = Cvae(1, 2, CvaeConfig(mode="textbook", latent=1, hidden=3))
    x, onehot = torch.tensor([[0.7]]), torch.tensor([[1.0, 0.0]])

    def joint(z):
        with torch.no_grad():
            mean = float(net.decode(torch.tensor([[z]], dtype=torch.float32), onehot))
        # The squared error is -log N(x; mean, 1/2) up to its constant.
        return math.exp(-((0.7 - mean) ** 2)) * stats.norm.pdf(z)

    evidence = math.log(quad(joint, -8, 8)[0])
    torch.manual_seed(0)
    with torch.no_grad():
        losses = [float(net.losses(x, onehot, torch.randn(1, 1), beta=1.0)) for _ in range(2000)]
    assert -np.mean(losses) <= evidence + 0.02


def test_the_cvae_learns_and_keeps_its_best_state_inside_the_build():
    given = private(n=200, public=0)
    fit = fit_cvae(given, CvaeConfig(latent=4, hidden=32, lr=0.01, epochs=200))
    roles = fit.roles_of(200)
    assert (roles == Role.VALIDATION).sum() == 20
    assert (roles == Role.TRAIN).sum() == 180
    draw = torch.Generator().manual_seed(0)
    samples = fit.sampler.sample(torch.tensor([0] * 500 + [1] * 500), draw).numpy()
    centres = [given.features[given.labels == label].mean(axis=0) for label in (0, 1)]
    for label, rows in ((0, samples[:500]), (1, samples[500:])):
        mine, other = (
            np.linalg.norm(rows.mean(axis=0) - c) for c in (centres[label], centres[1 - label])
        )
        assert mine < other
    tensors = fit.sampler.tensors()
    assert np.array_equal(tensors["low"].numpy(), given.features.min(axis=0))
    assert any(s.name == "bounds" and s.status == "leak" for s in fit.statistics)


@pytest.mark.parametrize("bounds", ["public", "dp"])
def test_bounds_that_are_not_private_touch_no_image(bounds):
    given = private()
    fit = fit_cvae(given, CvaeConfig(bounds=bounds, latent=2, hidden=4, epochs=2))
    tensors = fit.sampler.tensors()
    low, high = tensors["low"].numpy(), tensors["high"].numpy()
    assert not bounds_touched(given.features, low, high, given.public).any()
    assert bool(fit.ledger) == (bounds == "dp")
    assert not fit.guarantee


def test_private_bounds_are_for_the_published_mode_only():
    with pytest.raises(ConfigError, match="tell who was a member"):
        parse_route(
            {"kind": "features", "model": {"name": "cvae", "mode": "textbook", "bounds": "private"}}
        )


def test_public_bounds_need_public_images():
    with pytest.raises(DataError, match=r"data\.public"):
        fit_cvae(private(public=0), CvaeConfig(mode="textbook", epochs=1))


# --- Gaussians


def test_the_likelihood_of_low_rank_plus_diagonal_is_scipys():
    rng = np.random.default_rng(0)
    mean, scale = rng.normal(size=(2, 5)), rng.uniform(0.2, 2, size=(2, 5))
    factor = rng.normal(size=(2, 5, 3))
    sampler = GaussianSampler(
        *(torch.tensor(a, dtype=torch.float64) for a in (mean, scale, factor))
    )
    points, labels = rng.normal(size=(20, 5)), np.arange(20) % 2
    found = sampler.log_density(torch.tensor(points), torch.tensor(labels)).numpy()
    for row, (point, label) in enumerate(zip(points, labels, strict=True)):
        covariance = factor[label] @ factor[label].T + np.diag(scale[label] ** 2)
        oracle = stats.multivariate_normal.logpdf(point, mean[label], covariance)
        assert found[row] == pytest.approx(oracle, rel=1e-9)


def test_samples_have_the_covariance_they_claim():
    rng = np.random.default_rng(0)
    mean, scale = torch.tensor([[1.0, -1.0, 0.0]]), torch.tensor([[0.5, 0.1, 1.0]])
    factor = torch.tensor(rng.normal(size=(1, 3, 2)), dtype=torch.float32)
    sampler = GaussianSampler(mean, scale, factor)
    drawn = sampler.sample(
        torch.zeros(100_000, dtype=torch.int64), torch.Generator().manual_seed(0)
    )
    covariance = factor[0] @ factor[0].T + torch.diag(scale[0] ** 2)
    assert torch.allclose(drawn.mean(dim=0), mean[0], atol=0.03)
    assert torch.allclose(drawn.T.cov(), covariance, atol=0.06)


def test_the_fit_keeps_every_variance_and_cuts_the_rank():
    given = private(n=120)
    fit = fit_gaussian(given, GaussianConfig(rank=3, images_per_rank=20))
    assert fit.settings["rank"] == "3, 3"
    for label in (0, 1):
        own = given.features[given.labels == label].astype(np.float64)
        claimed = (fit.sampler.factor[label] ** 2).sum(dim=1) + fit.sampler.scale[label] ** 2
        assert np.allclose(claimed.numpy(), own.var(axis=0, ddof=1), rtol=1e-4)
        leading = np.linalg.eigvalsh(np.cov(own.T))[::-1][:3]
        assert np.allclose((fit.sampler.factor[label] ** 2).sum(dim=0).numpy(), leading, rtol=1e-4)
    assert (
        fit_gaussian(given, GaussianConfig(rank=3, images_per_rank=50)).settings["rank"] == "1, 1"
    )
    assert fit_gaussian(given, GaussianConfig(rank=3, images_per_rank=99)).sampler.factor is None


def test_a_class_of_one_image_is_refused_by_name():
    given = private(n=3)
    for fit, config in ((fit_gaussian, GaussianConfig()), (fit_cvae, CvaeConfig())):
        with pytest.raises(DataError, match="class 'b' has 1 image in this build"):
            fit(given, config)


# --- k-same


def test_groups_are_those_of_brute_force():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(14, 2)).astype(np.float32)
    left, oracle = list(range(12)), []
    while left:
        sums = {i: sum(math.dist(features[i], features[j]) for j in left) for i in left}
        first = max(left, key=lambda i: sums[i])
        near = sorted(
            (j for j in left if j != first), key=lambda j: math.dist(features[first], features[j])
        )
        oracle.append([first, *near[:3]])
        left = [i for i in left if i not in oracle[-1]]
    assert greedy_groups(features, 4).tolist() == oracle


def test_every_centroid_is_the_mean_of_k_images_of_one_class():
    given = private(n=40)
    fit = fit_ksame(given, KSameConfig(k=4))
    assert len(fit.sampler.points) == 10
    assert set(fit.sampler.weights.unique().tolist()) == {0.0, 4.0}
    for label in (0, 1):
        own = given.features[given.labels == label].astype(np.float64)
        means = {
            tuple(np.round(own[list(rows)].mean(axis=0), 3))
            for rows in itertools.combinations(range(len(own)), 4)
        }
        mine = fit.sampler.points[fit.sampler.weights[:, label] > 0].numpy()
        assert {tuple(np.round(point, 3)) for point in mine.astype(np.float64)} <= means


def test_the_published_variant_mixes_classes_and_keeps_their_labels():
    fit = fit_ksame(private(n=41), KSameConfig(k=5, within_class=False))
    assert fit.sampler.weights.sum(dim=1).tolist() == [5.0] * 8
    assert bool(((fit.sampler.weights > 0).sum(dim=1) == 2).any())


# --- differential privacy


def test_the_analytic_gaussian_solves_its_defining_equation():
    for epsilon, delta in ((0.1, 1e-5), (1.0, 1e-6), (8.0, 1e-4), (30.0, 1e-9)):
        sigma = gaussian_sigma(epsilon, delta)
        # delta(epsilon) = sup over sets = integral of (p - e^epsilon q) where it is positive,
        # for N(1, sigma^2) against N(0, sigma^2).
        cut = epsilon * sigma**2 + 0.5
        p, q = stats.norm.sf(cut, 1, sigma), stats.norm.sf(cut, 0, sigma)
        assert p - math.exp(epsilon) * q == pytest.approx(delta, rel=1e-5)
        assert gaussian_delta(sigma, epsilon) <= delta * (1 + 1e-6)


def test_one_image_moves_the_released_sums_by_at_most_one():
    rng = np.random.default_rng(0)
    for scale in (0.01, 1.0, 100.0):
        standard = scale * rng.normal(size=(30, 8))
        labels = rng.integers(0, 3, size=30)
        whole = released_sums(standard, labels, 3)
        for row in range(30):
            without = released_sums(np.delete(standard, row, 0), np.delete(labels, row), 3)
            assert np.linalg.norm(whole - without) <= 1 + 1e-9


def test_much_budget_gives_the_means_and_little_budget_does_not():
    given = private(n=4000, dim=5)
    # Nearer to the middle than the clipping length, so that only noise moves the means.
    given = Private(**{**given.__dict__, "features": given.features / 10})
    errors = []
    for epsilon in (1000.0, 0.05):
        fit = fit_dp_gaussian(given, DpGaussianConfig(epsilon=epsilon))
        means = [given.features[given.labels == label].mean(axis=0) for label in (0, 1)]
        errors.append(np.abs(fit.sampler.mean.numpy() - np.stack(means)).max())
    assert errors[0] < 0.01
    assert errors[1] > 0.1


def test_noise_of_what_leaves_is_not_from_the_seed():
    given = private()
    a, b = (fit_dp_gaussian(given, DpGaussianConfig()).sampler.mean for _ in range(2))
    assert torch.equal(a, b)
    leaving = Private(**{**given.__dict__, "leaves": True})
    c, d = (fit_dp_gaussian(leaving, DpGaussianConfig()).sampler.mean for _ in range(2))
    assert not torch.equal(c, d)


def test_the_private_quantile_follows_the_exponential_mechanism():
    values, epsilon = np.array([1.0, 2.0, 4.0]), 1.5
    edges = np.array([0.0, 1.0, 2.0, 4.0, 10.0])
    utility = -np.abs(np.arange(4) - 1.5)
    exact = np.diff(edges) * np.exp(epsilon * utility / 2)
    rng = np.random.default_rng(0)
    drawn = [
        private_quantile(values, 0.5, low=0.0, high=10.0, epsilon=epsilon, rng=rng)
        for _ in range(20_000)
    ]
    shares = np.histogram(drawn, edges)[0] / len(drawn)
    assert np.allclose(shares, exact / exact.sum(), atol=0.015)


# --- attacks


@pytest.mark.parametrize(("n", "dim"), [(100, 50), (400, 50), (400, 300)])
def test_private_bounds_find_members_as_often_as_theory_says(n, dim):
    rng = np.random.default_rng(n + dim)
    members, others, known = (rng.normal(size=(n, dim)).astype(np.float32) for _ in range(3))
    # Members are drawn last, so that others lie beyond the bounds as often as within.
    low, high = members.min(axis=0), members.max(axis=0)
    found = (bounds_touched(members, low, high, known) > 0).mean()
    assert found == pytest.approx(expected_share(n, dim), abs=0.08)
    assert not bounds_touched(others, low, high, known).any()


def test_a_bound_that_others_share_tells_nothing():
    features = np.array([[0.0, 6.0], [0.0, 3.0]], dtype=np.float32)
    low, high = np.array([0.0, 1.0], np.float32), np.array([5.0, 6.0], np.float32)
    assert bounds_touched(features, low, high, features[:0]).tolist() == [2, 1]
    others = np.array([[0.0, 2.0]], dtype=np.float32)
    assert bounds_touched(features, low, high, others).tolist() == [1, 0]


def test_nearest_distances_are_within_the_class():
    features = np.array([[0.0], [10.0]], dtype=np.float32)
    samples = np.array([[1.0], [9.5]], dtype=np.float32)
    found = nearest_distance(features, np.array([0, 0]), samples, np.array([0, 1]))
    assert np.allclose(found, [1.0, 9.0])
    assert np.isinf(nearest_distance(features, np.array([2, 0]), samples, np.array([0, 1]))[0])


def test_coverage_is_one_for_the_images_themselves_and_none_for_what_is_far():
    features = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    assert covered(features, features).all()
    assert not covered(features, features + 100).any()


def test_the_latent_search_finds_the_latent_that_made_an_image():
    torch.manual_seed(0)
    decoder = DecoderSampler(
        {
            "hidden.weight": torch.randn(64, 6),
            "hidden.bias": torch.zeros(64),
            "output.weight": torch.randn(40, 64) / 4,
            "output.bias": torch.zeros(40),
            "low": torch.zeros(40),
            "high": torch.ones(40),
            "classes": torch.ones(2),
        }
    )
    labels = torch.tensor([0, 1] * 10)
    made = decoder.decode(0.5 * torch.randn(20, 4), labels).numpy()
    search = LatentSearch(steps=300, prior=0.0)
    near = search.distance(decoder, made, labels.numpy(), device="cpu")
    far = search.distance(
        decoder, np.random.default_rng(0).random((20, 40), np.float32), labels.numpy(), device="cpu"
    )
    assert np.median(near) < 0.05 * np.median(far)


# --- the route


def test_features_that_are_no_numbers_are_refused(tmp_path, monkeypatch):
    (tmp_path / "broken_net.py").write_text(
        "import torch\n"
        "class Broken(torch.nn.Module):\n"
        "    def forward(self, images):\n"
        "        return images.flatten(1) * torch.nan\n"
        "def broken(): return Broken()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = parse_route(
        {"kind": "features", "extractor": {"name": "code:broken_net:broken", "size_px": 8}}
    )
    data = ImageDataset(
        images=np.zeros((8, 1, 8, 8), dtype=np.uint8),
        labels=np.arange(8) % 2,
        class_names=("a", "b"),
        unit=np.arange(8),
        name="private",
    )
    with pytest.raises(DataError, match="features that are not finite"):
        make_route(config).build(data, BuildContext.of(data[:0], seed=0))
