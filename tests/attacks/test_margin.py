"""The margin of the logits as a signal."""

import numpy as np
import pytest
import torch

from sudare.attacks.margin import Margin
from sudare.attacks.registry import SIGNALS
from sudare.attacks.signals import Phi
from sudare.releases.kinds import LogitsView


class Sums(torch.nn.Module):
    """Logits that are weighted sums of the pixels."""

    def __init__(self, classes, seed):
        super().__init__()
        self.weights = torch.randn(classes, 4, generator=torch.Generator().manual_seed(seed))

    def forward(self, images):
        return images.flatten(1) @ self.weights.T


def view(classes, nets=2):
    return LogitsView(tuple(Sums(classes, seed) for seed in range(nets)), "cpu")


def drawn(classes, n=50):
    rng = np.random.default_rng(0)
    return rng.integers(256, size=(n, 1, 2, 2), dtype=np.uint8), rng.integers(classes, size=n)


def test_with_two_classes_it_is_phi():
    images, labels = drawn(2)
    ours, phi = (
        signal(queries=2).measure(view(2), images, labels, seed=0) for signal in (Margin, Phi)
    )
    assert ours.shape == (50, 2)
    assert np.allclose(ours, phi, atol=1e-5)


def test_it_is_the_own_logit_less_the_largest_other_meant_over_recipients():
    images, labels = drawn(5)
    seen = view(5)
    expected = np.zeros(len(labels))
    for logits in seen.logits(images):
        for row, label in enumerate(labels):
            expected[row] += (logits[row, label] - max(np.delete(logits[row], label))) / 2
    got = Margin(queries=1).measure(seen, images, labels, seed=0)
    assert np.allclose(got[:, 0], expected, atol=1e-5)
    phi = Phi(queries=1).measure(seen, images, labels, seed=0)
    # The logsumexp of the others is at least the largest of them.
    assert (got >= phi - 1e-5).all()


@pytest.mark.parametrize("name", ["margin", "phi"])
def test_it_stands_in_the_registry_under_its_name(name):
    assert SIGNALS.load(name).name == name
