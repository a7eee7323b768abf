"""Model inversion against oracles: definitions, linear decoders, brute force, controls."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from sudare.attacks.inversion import PlugAndPlay, fit_prior, load_prior, save_prior
from sudare.attacks.inversion.losses import LOSSES, poincare
from sudare.attacks.inversion.plugplay import random_crops
from sudare.core.errors import ConfigError
from sudare.core.progress import Silent
from sudare.data.sources import load_source
from sudare.data.sources.identities import PARAMETERS, draw_faces, parameters_of
from sudare.metrics import frechet_distance, prdc, same_class_distance


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def fitted(kind="pca", *, images=None, latent=4, steps=60):
    if images is None:
        images = torch.randn(200, 1, 12, 12, generator=rng())
    return fit_prior(kind, images, latent=latent, steps=steps, seed=0, progress=Silent())


# --- losses


def test_poincare_is_its_definition():
    logits, label = torch.tensor([[1.0, -2.0, 1.0]], dtype=torch.float64), torch.tensor([1])
    u, v = [0.25, -0.5, 0.25], [0.0, 1 - 1e-4, 0.0]
    apart = sum((a - b) ** 2 for a, b in zip(u, v, strict=True))
    within = (1 - sum(a * a for a in u)) * (1 - sum(b * b for b in v))
    expected = math.acosh(1 + 2 * apart / within)
    assert float(poincare(logits, label)) == pytest.approx(expected, rel=1e-6)


def test_poincare_does_not_change_with_the_size_of_logits_and_falls_towards_the_target():
    logits, labels = torch.tensor([[2.0, 1.0, 0.5]]), torch.tensor([0])
    assert float(poincare(logits, labels)) == pytest.approx(float(poincare(5 * logits, labels)))
    near, far = torch.tensor([[9.0, 1.0, 0.5]]), torch.tensor([[1.0, 2.0, 0.5]])
    assert (
        float(poincare(near, labels))
        < float(poincare(logits, labels))
        < float(poincare(far, labels))
    )


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_falls_along_its_gradient(name):
    logits = torch.tensor([[0.5, 1.0, -1.0], [0.2, 0.1, 0.3]], requires_grad=True)
    labels = torch.tensor([0, 2])
    before = LOSSES[name](logits, labels)
    assert before.shape == (2,)
    (slope,) = torch.autograd.grad(before.sum(), logits)
    after = LOSSES[name](logits.detach() - 1e-3 * slope, labels)
    assert bool((after < before).all())


# --- priors


def test_a_pca_prior_recovers_the_latents_of_a_linear_decoder():
    basis, _ = torch.linalg.qr(torch.randn(144, 3, generator=rng(1)))
    lengths = torch.tensor([5.0, 3.0, 1.0])
    truth = torch.randn(4000, 3, generator=rng(2))
    truth = truth / truth.std(dim=0)
    images = (0.3 + (truth * lengths) @ basis.T).reshape(-1, 1, 12, 12)
    prior = fitted(images=images, latent=3)
    assert torch.allclose(prior.decode(prior.encode(images)), images, atol=1e-3)
    found = prior.encode(images)
    for index in range(3):
        match = np.corrcoef(found[:, index].numpy(), truth[:, index].numpy())[0, 1]
        assert abs(match) > 0.99
    spread = prior.decode(prior.sample(4000, rng(3))).flatten(1).std(dim=0)
    assert torch.allclose(spread, images.flatten(1).std(dim=0), rtol=0.15, atol=0.02)


def test_a_vae_decodes_what_it_encoded_better_than_the_mean_does():
    levels = torch.linspace(-1.5, 1.5, 256)[:, None, None, None]
    images = levels.expand(-1, 1, 12, 12).contiguous()
    prior = fitted("vae", images=images, latent=2, steps=300)
    with torch.no_grad():
        again = prior.decode(prior.encode(images))
    assert float((again - images).square().mean()) < 0.2 * float(images.var())


@pytest.mark.parametrize("kind", ["pca", "vae"])
@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 10, 14)])
def test_priors_take_every_shape_and_survive_the_disk(kind, shape, tmp_path):
    images = torch.randn(40, *shape, generator=rng())
    prior = fitted(kind, images=images, latent=3, steps=2)
    save_prior(prior, tmp_path / "prior.safetensors")
    again = load_prior(tmp_path / "prior.safetensors", kind, shape, latent=3, device="cpu")
    latents = prior.sample(5, rng(1))
    with torch.no_grad():
        assert torch.equal(prior.decode(latents), again.decode(latents))
    assert again.decode(latents).shape == (5, *shape)


def test_an_unknown_prior_or_loss_is_refused():
    with pytest.raises(ConfigError, match="no prior"):
        fitted("gan")
    with pytest.raises(ConfigError, match="no loss"):
        PlugAndPlay(loss="hinge")
    with pytest.raises(ConfigError, match="at most"):
        PlugAndPlay(keep=11, candidates=10)


# --- the attack


class Template(nn.Module):
    """Answers the class whose template an image is like."""

    def __init__(self, templates):
        super().__init__()
        self.register_buffer("templates", templates)

    def forward(self, images):
        return 0.5 * images.flatten(1) @ self.templates.T


def templates(classes=3):
    return torch.randn(classes, 144, generator=rng(4))


def inverted(net, prior, **settings):
    attack = PlugAndPlay(pool=200, candidates=6, keep=3, steps=40, **settings)
    return attack(net, prior, torch.arange(3), seed=1)


def test_a_net_of_templates_gives_its_templates_away():
    known = templates()
    basis = torch.cat([known, torch.randn(5, 144, generator=rng(5))])
    images = (torch.randn(500, 8, generator=rng(6)) @ basis / 4).reshape(-1, 1, 12, 12)
    found = inverted(Template(known), fitted(images=images, latent=8))
    likeness = torch.nn.functional.cosine_similarity(
        found.images.flatten(2)[:, :, None], known[None, None], dim=3
    )
    assert bool((likeness.argmax(dim=2) == torch.arange(3)[:, None]).all())
    first = torch.nn.functional.cosine_similarity(
        found.first.flatten(2)[:, :, None], known[None, None], dim=3
    )
    own = torch.arange(3)
    assert float(likeness[own, :, own].mean()) > float(first[own, :, own].mean()) + 0.05
    assert float(found.images.abs().max()) <= 2


def test_gradients_of_a_linear_net_keep_their_direction_and_crops_turn_them():
    net, prior = Template(templates()), fitted()
    steady = inverted(net, prior, loss="max-logit", crops=1.0).cosine
    assert steady.shape == (3, 6)
    assert torch.allclose(steady, torch.ones(3, 6), atol=1e-4)
    turned = inverted(net, prior, loss="max-logit", crops=0.5).cosine
    assert float(turned.max()) < 0.999
    once = PlugAndPlay(pool=20, candidates=2, keep=1, steps=1)(net, prior, torch.arange(3), seed=1)
    assert bool(once.cosine.isnan().all())


def test_the_cosine_is_that_of_the_gradients_the_decoder_gets():
    seen = []

    class Watched:
        def sample(self, count, generator):
            return torch.randn(count, 144, generator=generator)

        def decode(self, latents):
            latents = latents * 1
            if latents.requires_grad:
                latents.register_hook(lambda gradient: seen.append(gradient.numpy().copy()))
            return latents.reshape(-1, 1, 12, 12)

    found = inverted(Template(templates()), Watched()).cosine
    assert len(seen) == 40
    before, after = np.stack(seen[:-1]), np.stack(seen[1:])
    lengths = np.linalg.norm(before, axis=2) * np.linalg.norm(after, axis=2)
    wanted = ((before * after).sum(axis=2) / lengths).mean(axis=0)
    assert np.allclose(found.flatten().numpy(), wanted, atol=1e-4)
    assert wanted.min() < 0.95


def test_selection_keeps_the_surest_in_order():
    found = inverted(Template(templates()), fitted())
    assert bool((found.confidence[:, :-1] >= found.confidence[:, 1:]).all())
    every = {image.numpy().tobytes() for image in found.every.flatten(0, 1)}
    assert all(image.numpy().tobytes() in every for image in found.images.flatten(0, 1))


def test_the_same_seed_gives_the_same_images_and_each_stage_may_use_another_net():
    net, prior = Template(templates()), fitted()
    one, two = inverted(net, prior), inverted(net, prior)
    assert torch.equal(one.images, two.images)
    other = Template(-templates())
    attack = PlugAndPlay(pool=200, candidates=6, keep=3, steps=5)
    swapped = attack(net, prior, torch.arange(3), seed=1, sampler=other)
    same = attack(net, prior, torch.arange(3), seed=1, selector=other)
    whole = attack(net, prior, torch.arange(3), seed=1)
    assert not torch.equal(swapped.first, whole.first)
    assert torch.equal(same.every, whole.every)
    assert not torch.equal(same.confidence, whole.confidence)


def test_a_whole_crop_is_the_image_and_crops_enlarge():
    images = torch.randn(4, 1, 12, 12, generator=rng())
    assert torch.allclose(random_crops(images, 1.0, 1.0, rng()), images, atol=1e-5)
    ramp = torch.linspace(-1, 1, 12).expand(4, 1, 12, 12).contiguous()
    half = random_crops(ramp, 0.5, 0.5, rng())
    slope = (half[..., 8] - half[..., 4]) / (ramp[..., 8] - ramp[..., 4])
    assert torch.allclose(slope, torch.full_like(slope, 0.5), atol=1e-3)


def test_more_views_average_the_gradient():
    net, prior = Template(templates()), fitted()
    found = inverted(net, prior, views=3)
    assert found.images.shape == (3, 3, 1, 12, 12)


# --- measures


def brute_prdc(real, made, k):
    def radius(rows, index):
        apart = sorted(np.sum((rows[index] - other) ** 2) for other in rows)
        return apart[k]

    balls = [radius(real, index) for index in range(len(real))]
    others = [radius(made, index) for index in range(len(made))]
    inside = [[np.sum((m - r) ** 2) <= balls[j] + 1e-12 for j, r in enumerate(real)] for m in made]
    reached = [
        any(np.sum((m - r) ** 2) <= others[i] + 1e-12 for i, m in enumerate(made)) for r in real
    ]
    return (
        np.mean([any(row) for row in inside]),
        np.mean(reached),
        np.mean([sum(row) / k for row in inside]),
        np.mean([any(column) for column in zip(*inside, strict=True)]),
    )


@pytest.mark.parametrize("k", [1, 3])
def test_prdc_against_brute_force(k):
    draws = np.random.default_rng(k)
    real, made = draws.normal(size=(25, 3)), draws.normal(0.7, 1.2, size=(18, 3))
    assert tuple(prdc(real, made, k=k)) == pytest.approx(brute_prdc(real, made, k))


def test_frechet_distance_of_shifted_and_scaled_gaussians():
    draws = np.random.default_rng(0).normal(size=(20_000, 4))
    assert frechet_distance(draws, draws) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(draws + 2, draws) == pytest.approx(16, rel=1e-6)
    # Standard deviations 2 and 1 in four directions: 4 (2 - 1)^2.
    assert frechet_distance(2 * draws, draws) == pytest.approx(4, rel=0.05)


def test_distance_to_the_nearest_of_the_same_class_only():
    made, real = np.array([[0.0], [5.0], [1.0]]), np.array([[0.1], [4.0], [3.0]])
    apart, which = same_class_distance(made, np.array([0, 0, 7]), real, np.array([1, 0, 0]))
    assert apart[:2] == pytest.approx([9.0, 1.0])
    assert list(which) == [2, 1, -1]
    assert np.isnan(apart[2])


# --- drawn people


def test_drawn_people_are_told_by_their_numbers_and_nuisances_are_not_they():
    source = load_source("identities")
    assert source.train.images.shape == (20_000, 1, 32, 32)
    truth = parameters_of(source.train)
    assert truth.shape == (20_000, len(PARAMETERS))
    assert np.all(truth[0] == truth[99])
    assert not np.array_equal(source.train.images[0], source.train.images[1])
    assert np.array_equal(parameters_of(source.test)[0], truth[0])
    assert parameters_of(load_source("digits").train) is None


@pytest.mark.parametrize("index", range(len(PARAMETERS)))
def test_every_number_changes_the_picture(index):
    low, high = np.full((1, len(PARAMETERS)), 0.5), np.full((1, len(PARAMETERS)), 0.5)
    low[0, index], high[0, index] = 0.0, 1.0
    one, two = (draw_faces(who, np.random.default_rng(0)).astype(int) for who in (low, high))
    assert np.abs(one - two).mean() > 0.2


def test_people_are_nearer_to_themselves_than_to_others():
    draws = np.random.default_rng(3)
    people = np.repeat(draws.uniform(size=(12, len(PARAMETERS))), 8, axis=0)
    faces = draw_faces(people, draws).reshape(96, -1).astype(float)
    who = np.repeat(np.arange(12), 8)
    apart = ((faces[:, None] - faces[None]) ** 2).mean(axis=2)
    same = [apart[i, j] for i, j in itertools.combinations(range(96), 2) if who[i] == who[j]]
    other = [apart[i, j] for i, j in itertools.combinations(range(96), 2) if who[i] != who[j]]
    assert np.mean(same) < 0.8 * np.mean(other)
