import copy

import numpy as np
import pytest
import torch
from scipy.stats import binom, kstest, normaltest

from sudare import nets
from sudare.accounting.ledger import LedgerEntry
from sudare.core.errors import ConfigError
from sudare.core.progress import Silent
from sudare.nets import NetConfig
from sudare.nets.normalisation import normalise
from sudare.training import DpConfig, Recipe
from sudare.training.dpsgd import poisson_rows, sample_rate, train_private
from sudare.training.loop import TrainingData
from sudare.training.losses import smoothed_cross_entropy
from sudare.training.optimisers import rate_at
from sudare.training.randomness import system_rows, system_uniform

PLAIN = {"augmentation": (), "weight_decay": 0.0, "momentum": 0.0}


def data_of(n=24, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, size=(n, 1, 8, 8), dtype=np.uint8)
    return TrainingData.of(images, rng.integers(3, size=n).astype(np.int64), device="cpu")


def small_net():
    return nets.build(
        NetConfig(name="convnet", width=4, depth=2), image_shape=(1, 8, 8), n_classes=3, seed=0
    )


def test_with_next_to_no_noise_a_step_is_the_mean_of_clipped_gradients():
    """Full batch, so that the sampler takes all; against one backward pass per image."""
    net, data = small_net(), data_of()
    oracle = copy.deepcopy(net)
    recipe = Recipe(steps=1, batch_size=24, lr=0.7, schedule="constant", warmup=0.0, **PLAIN)
    privacy = DpConfig(
        target_epsilon=None, noise_multiplier=1.0, max_grad_norm=0.05, physical_batch=7
    ).model_copy(update={"noise_multiplier": 1e-6})
    with pytest.MonkeyPatch.context() as patch:
        # Neither a configuration nor the books take so little noise; this test needs none.
        patch.setattr("sudare.training.dpsgd.epsilon_spent", lambda *a, **k: 1.0)
        patch.setattr("sudare.training.dpsgd.LedgerEntry", LedgerEntry.model_construct)
        train_private(net, data, recipe, privacy, seed=0, progress=Silent())
    total = [torch.zeros_like(p) for p in oracle.parameters()]
    for image, label in zip(data.images, data.targets, strict=True):
        oracle.zero_grad()
        smoothed_cross_entropy(oracle(normalise(image[None])), label[None]).sum().backward()
        norm = torch.sqrt(sum((p.grad**2).sum() for p in oracle.parameters()))
        scale = min(1.0, 0.05 / float(norm))
        for sum_, p in zip(total, oracle.parameters(), strict=True):
            sum_ += scale * p.grad
    rate = rate_at(recipe, 0, 1)
    with torch.no_grad():
        for p, sum_ in zip(oracle.parameters(), total, strict=True):
            p -= rate * sum_ / 24
    for ours, theirs in zip(net.parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_the_noise_has_the_standard_deviation_that_was_accounted_for():
    net, data = small_net(), data_of()
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    recipe = Recipe(steps=1, batch_size=24, lr=1.0, schedule="constant", warmup=0.0, **PLAIN)
    privacy = DpConfig(target_epsilon=None, noise_multiplier=5.0, max_grad_norm=1.0)
    train_private(net, data, recipe, privacy, seed=0, progress=Silent())
    moved = torch.cat([p.detach().flatten() for p in net.parameters()]) - before
    # Signal is at most the clipping norm over all coordinates; noise dominates each of them.
    assert float(moved.std()) == pytest.approx(5.0 / 24, rel=0.1)


def test_an_empty_batch_is_a_step_of_noise_alone():
    net, data = small_net(), data_of(n=400)
    before = [p.detach().clone() for p in net.parameters()]
    recipe = Recipe(steps=1, batch_size=1, lr=1.0, schedule="constant", warmup=0.0, **PLAIN)
    privacy = DpConfig(target_epsilon=None, noise_multiplier=1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "sudare.training.dpsgd.poisson_rows", lambda *a: torch.empty(0, dtype=torch.long)
        )
        record, _ = train_private(net, data, recipe, privacy, seed=0, progress=Silent())
    assert record.steps == 1
    assert np.isnan(record.loss_trace).all()
    assert all(
        not torch.equal(a, b.detach()) for a, b in zip(before, net.parameters(), strict=True)
    )


def test_poisson_batches_have_binomial_sizes_and_independent_images():
    generator = torch.Generator().manual_seed(0)
    n, rate, draws = 50, 0.2, 4000
    included = np.zeros((draws, n))
    for draw in range(draws):
        included[draw, poisson_rows(n, rate, generator).numpy()] = 1
    sizes = included.sum(axis=1)
    assert sizes.mean() == pytest.approx(10, abs=0.2)
    assert sizes.var() == pytest.approx(binom(n, rate).var(), rel=0.08)
    assert np.abs(included.mean(axis=0) - rate).max() < 0.03
    assert abs(np.corrcoef(included[:, 0], included[:, 1])[0, 1]) < 0.06


def test_equal_seeds_give_equal_weights_and_none_draws_from_the_system():
    recipe, privacy = Recipe(epochs=2, batch_size=8), DpConfig(target_epsilon=5.0, delta=1e-3)
    states = []
    for seed in (3, 3, None, None):
        net = small_net()
        train_private(net, data_of(), recipe, privacy, seed=seed, progress=Silent())
        states.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[2], states[3])


@pytest.mark.parametrize("seed", [0, None])
def test_the_noise_has_the_claimed_size_wherever_it_comes_from(seed):
    """Equal images have gradients the clipping makes tiny: what moves the weights is noise."""
    recipe = Recipe(steps=1, batch_size=24, lr=1.0, schedule="constant", warmup=0.0, **PLAIN)
    privacy = DpConfig(
        target_epsilon=None, noise_multiplier=3.0, max_grad_norm=1e-3, physical_batch=7
    )
    net = nets.build(NetConfig(name="mlp", width=256), image_shape=(1, 8, 8), n_classes=3, seed=0)
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    train_private(net, data_of(), recipe, privacy, seed=seed, progress=Silent())
    moved = (torch.cat([p.detach().flatten() for p in net.parameters()]) - before).numpy()
    assert moved.std() == pytest.approx(3.0 * 1e-3 / 24, rel=0.03)
    assert normaltest(moved).pvalue > 1e-4


def test_system_randomness_is_uniform_and_never_at_an_end():
    values = system_uniform(200_000)
    assert kstest(values, "uniform").pvalue > 1e-4
    assert values.min() > 0
    assert values.max() < 1
    sizes = [len(system_rows(50, 0.2, torch.device("cpu"))) for _ in range(2000)]
    assert np.mean(sizes) == pytest.approx(10, abs=0.3)
    assert np.var(sizes) == pytest.approx(binom(50, 0.2).var(), rel=0.15)


def test_the_ledger_entry_describes_what_ran_and_meets_the_target():
    recipe, privacy = Recipe(epochs=3, batch_size=8), DpConfig(target_epsilon=2.0, delta=1e-3)
    record, entry = train_private(
        small_net(), data_of(), recipe, privacy, seed=0, progress=Silent()
    )
    assert 1.9 < entry.epsilon <= 2.0
    assert entry.steps == record.steps == 9
    assert entry.sample_rate == sample_rate(8, 24)


def test_the_sampling_rate_is_rounded_up_so_that_sizes_differing_by_one_share_it():
    assert sample_rate(64, 600) == 0.107
    assert sample_rate(64, 601) == 0.107
    assert sample_rate(700, 600) == 1.0


def test_bf16_is_refused():
    with pytest.raises(ConfigError, match="float32"):
        train_private(
            small_net(), data_of(), Recipe(precision="bf16"), DpConfig(), seed=0, progress=Silent()
        )
