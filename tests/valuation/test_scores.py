"""VoG and PLIS against vmap, finite differences and the definition."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from sudare.core.errors import ConfigError
from sudare.nets import NetConfig, build
from sudare.valuation.scores import (
    StreamingVog,
    class_normalised,
    gradient_norms,
    input_gradients,
    plis,
    squared_norms,
)

SHAPE = (2, 8, 8)


def smooth(kind):
    torch.manual_seed(0)
    nets = {
        "mlp": nn.Sequential(nn.Flatten(), nn.Linear(128, 10), nn.Tanh(), nn.Linear(10, 3)),
        "conv": nn.Sequential(
            nn.Conv2d(2, 5, 3, padding=1),
            nn.GroupNorm(5, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(5, 6, 3, stride=2, bias=False),
            nn.GroupNorm(2, 6),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(6, 3),
        ),
    }
    return nets[kind].double()


def batch(n=7):
    rng = torch.Generator().manual_seed(1)
    images = torch.randn(n, *SHAPE, generator=rng, dtype=torch.float64)
    return images, torch.arange(n) % 3


def oracle(net, images, labels):
    """Squared norm of each record's gradient, by vmap."""
    weights = dict(net.named_parameters())

    def square(image, label):
        def loss(values):
            logits = functional_call(net, values, (image[None],))
            return nn.functional.cross_entropy(logits, label[None])

        return sum((part**2).sum() for part in grad(loss)(weights).values())

    return square, vmap(square)(images, labels)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_ghost_norms_agree_with_vmap(kind):
    net, (images, labels) = smooth(kind), batch()
    _, expected = oracle(net, images, labels)
    found = squared_norms(net, images, labels)
    assert torch.allclose(found, expected.detach(), rtol=1e-9)
    assert gradient_norms(net, images, labels) == pytest.approx(expected.detach().sqrt().numpy())


@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("variant", ["A", "B"])
def test_ghost_plis_agrees_with_vmap(kind, variant):
    net, (images, labels) = smooth(kind), batch()
    square, _ = oracle(net, images, labels)
    sigma, clip = 2.0, 0.5

    def value(image, label):
        norm = square(image, label)
        return norm / (2 * sigma**2 * clip**2) if variant == "A" else norm.sqrt() / (sigma * clip)

    expected = vmap(grad(value))(images, labels).detach()
    found = plis(net, images, labels, variant=variant, noise_multiplier=sigma, clip=clip)
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_both_forms_of_a_convolutions_norm_agree():
    """A small map takes the Gram form, a large one the gradient itself; vmap is the judge."""
    labels = torch.arange(3) % 3
    for side in (4, 14):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(2, 9, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, 3)
        ).double()
        images = torch.randn(3, 2, side, side, dtype=torch.float64)
        _, expected = oracle(net, images, labels)
        assert torch.allclose(squared_norms(net, images, labels), expected.detach(), rtol=1e-9)


def test_the_nets_of_the_registry_are_covered_and_others_are_refused():
    images = torch.randn(4, 1, 28, 28)
    for name in ("convnet", "mlp", "resnet9"):
        net = build(NetConfig(name=name, width=8), image_shape=(1, 28, 28), n_classes=3, seed=0)
        assert (squared_norms(net, images, torch.arange(4) % 3) > 0).all()
    other = nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.LayerNorm(3))
    with pytest.raises(ConfigError, match="LayerNorm"):
        squared_norms(other, images, torch.arange(4) % 3)


@pytest.mark.parametrize("target", ["logit", "prob", "loss"])
def test_input_gradients_are_finite_differences_of_the_target(target):
    net, (images, labels) = smooth("conv"), batch(3)

    def value(pixels):
        logits = net(pixels)
        chosen = logits.gather(1, labels[:, None])[:, 0]
        if target == "logit":
            return chosen
        log_p = chosen - logits.logsumexp(dim=1)
        return log_p.exp() if target == "prob" else -log_p

    found = input_gradients(net, images, labels, target=target)
    step = 1e-6
    for row, column in ((0, 0), (3, 5)):
        total = torch.zeros(3, dtype=torch.float64)
        for channel in range(2):
            up, down = images.clone(), images.clone()
            up[:, channel, row, column] += step
            down[:, channel, row, column] -= step
            total += (value(up) - value(down)).detach() / (2 * step)
        assert torch.allclose(found[:, row, column], total / 2, atol=1e-6)


def test_streaming_vog_is_the_published_formula_on_stored_gradients():
    gradients = np.random.default_rng(0).normal(2, 3, size=(6, 5, 4, 4))
    vog = StreamingVog()
    for checkpoint in gradients:
        vog.add(torch.from_numpy(checkpoint))
    expected = gradients.std(axis=0, ddof=0).mean(axis=(1, 2))
    assert vog.scores() == pytest.approx(expected)


def test_one_checkpoint_has_no_variance():
    vog = StreamingVog()
    vog.add(torch.zeros(2, 3, 3))
    with pytest.raises(ConfigError, match="two checkpoints"):
        vog.scores()


def test_class_normalised_scores_have_mean_zero_and_spread_one_in_each_class():
    scores, labels = np.array([1.0, 3.0, 10.0, 30.0, 5.0]), np.array([0, 0, 1, 1, 2])
    assert class_normalised(scores, labels) == pytest.approx([-1, 1, -1, 1, 0])


@pytest.mark.parametrize("activation", ["relu", "silu", "tanh", "softplus"])
def test_plis_of_a_convnet_with_any_activation_is_that_of_vmap(activation):
    config = NetConfig(width=4, depth=2, activation=activation)
    net = build(config, image_shape=(1, 8, 8), n_classes=3, seed=0).double()
    images, labels = batch()
    images = images[:, :1]
    square, _ = oracle(net, images, labels)
    expected = vmap(grad(square))(images, labels).detach() / 2
    torch.testing.assert_close(plis(net, images, labels), expected, atol=1e-9, rtol=1e-6)


def test_equal_scores_are_at_zero_and_not_at_rounding_over_rounding():
    assert class_normalised(np.full(3, 0.1), np.zeros(3, dtype=int)).tolist() == [0, 0, 0]


class _Twice(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = torch.nn.Linear(64, 64), torch.nn.Linear(64, 3)

    def forward(self, images):
        return self.head(self.body(self.body(images.flatten(1))))


def _net(kind):
    if kind == "is used twice":
        return _Twice()
    pad = "reflect" if kind == "pads with reflect" else "zeros"
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3, padding=1, padding_mode=pad),
        torch.nn.Flatten(),
        torch.nn.Linear(128, 3),
    )
    if kind == "a part is frozen":
        net[2].bias.requires_grad_(False)
    return net


@pytest.mark.parametrize("kind", ["is used twice", "pads with reflect", "a part is frozen"])
def test_layers_whose_norm_would_be_wrong_in_silence_are_refused(kind):
    with pytest.raises(ConfigError, match=kind):
        squared_norms(_net(kind), torch.randn(4, 1, 8, 8), torch.arange(4) % 3)
