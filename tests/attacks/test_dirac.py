"""White-box canaries: an honest DP-SGD passes, and every mutant that leaks more is caught."""

import numpy as np
import pytest
import torch
from opacus.optimizers import DPOptimizer

from sudare import nets
from sudare.attacks.membership.dirac import DiracCanaries, audit_mechanism, check_sampling
from sudare.core.errors import AuditError
from sudare.core.progress import Silent
from sudare.nets import NetConfig
from sudare.training import DpConfig, Recipe
from sudare.training import dpsgd as trainer
from sudare.training.loop import TrainingData

RECORDS, CANARIES, BATCH = 64, 6000, 16
RECIPE = Recipe(steps=24, batch_size=BATCH, lr=0.1, momentum=0.0, weight_decay=0.0)
CLAIM = DpConfig(target_epsilon=2.0, max_grad_norm=0.5)


def audit(seed=0, claim=CLAIM):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, size=(RECORDS, 1, 8, 8), dtype=np.uint8)
    data = TrainingData.of(images, rng.integers(3, size=RECORDS).astype(np.int64), device="cpu")
    net = nets.build(
        NetConfig(name="mlp", width=128), image_shape=(1, 8, 8), n_classes=3, seed=seed
    )
    canaries = DiracCanaries(
        CANARIES, max_grad_norm=claim.max_grad_norm, expected_batch=BATCH, seed=seed + 1000
    )

    def train(observer):
        _, entry = trainer.train_private(
            net, data, RECIPE, claim, seed=seed, progress=Silent(), observer=observer
        )
        return entry

    return audit_mechanism(train, canaries, records=RECORDS)


def test_an_honest_run_is_not_refuted_and_its_bounds_stay_below_the_claim():
    audits = [audit(seed) for seed in range(3)]
    assert not any(a.refuted for a in audits)
    assert all(a.one_run <= a.gaussian + 0.5 <= a.claimed + 0.5 for a in audits)
    # The test has power: the Gaussian bound comes within reach of the claim.
    assert np.median([a.gaussian for a in audits]) > 0.5 * CLAIM.target_epsilon


def test_no_clipping_is_caught(monkeypatch):
    monkeypatch.setattr(DPOptimizer, "clip_and_accumulate", _accumulate_unclipped)
    assert audit().refuted


def test_noise_divided_by_the_batch_twice_is_caught(monkeypatch):
    monkeypatch.setattr(trainer, "DPOptimizer", _optimiser(noise=lambda noise, step: noise / BATCH))
    assert audit().refuted


def test_noise_that_is_the_same_at_every_step_is_caught(monkeypatch):
    first = {}

    def reused(noise, step):
        return first.setdefault(noise.shape, noise)

    monkeypatch.setattr(trainer, "DPOptimizer", _optimiser(noise=reused))
    assert audit().refuted


def test_an_accountant_told_a_larger_sigma_is_caught(monkeypatch):
    monkeypatch.setattr(trainer, "DPOptimizer", _optimiser(noise=lambda noise, step: noise / 2))
    found = audit()
    assert found.refuted
    assert found.gaussian > found.claimed


def test_an_accountant_told_a_smaller_sampling_rate_is_caught(monkeypatch):
    honest = trainer.poisson_rows
    monkeypatch.setattr(
        trainer, "poisson_rows", lambda n, rate, generator: honest(n, min(1, 3 * rate), generator)
    )
    found = audit()
    assert found.refuted
    assert found.sampling.refuted
    assert found.gaussian > found.claimed


def test_shuffled_epochs_are_not_poisson_sampling():
    rng, rate, records = np.random.default_rng(0), 0.1, 300
    poisson = [np.flatnonzero(rng.random(records) < rate) for _ in range(100)]
    assert not check_sampling(poisson, records=records, rate=rate).refuted
    shuffled = [part for _ in range(10) for part in np.array_split(rng.permutation(records), 10)]
    check = check_sampling(shuffled, records=records, rate=rate)
    assert check.inclusion_p < 1e-6
    assert check.batch_p < 1e-6


def test_an_honest_sampler_is_refuted_in_one_of_a_hundred_checks():
    rng, rate, records = np.random.default_rng(1), 0.05, 200
    refuted = [
        check_sampling(
            [np.flatnonzero(rng.random(records) < rate) for _ in range(60)],
            records=records,
            rate=rate,
        ).refuted
        for _ in range(400)
    ]
    assert np.mean(refuted) <= 0.01 + 3 * (0.01 / 400) ** 0.5


def test_more_canaries_than_coordinates_are_refused():
    canaries = DiracCanaries(10, max_grad_norm=1.0, expected_batch=4, seed=0)
    with pytest.raises(AuditError, match="coordinates"):
        canaries.inject([torch.nn.Parameter(torch.zeros(3))], torch.zeros(0, dtype=torch.long))


def _accumulate_unclipped(self):
    for p in self.params:
        total = self._get_flat_grad_sample(p).sum(dim=0)
        p.summed_grad = total if p.summed_grad is None else p.summed_grad + total


def _optimiser(*, noise):
    """DP-SGD whose noise goes through a function of noise and step."""

    class Mutant(DPOptimizer):
        def add_noise(self):
            summed = [p.summed_grad.clone() for p in self.params]
            super().add_noise()
            for index, (p, before) in enumerate(zip(self.params, summed, strict=True)):
                drawn = p.grad - before.view_as(p)
                p.grad = before.view_as(p) + noise(drawn, index)

    return Mutant
