import pytest
import torch
from pydantic import ValidationError

from sudare import nets
from sudare.core.errors import ConfigError
from sudare.nets import NETS, NetConfig

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(NETS))
def test_every_net_takes_every_shape(name, shape):
    net = nets.build(NetConfig(name=name, width=8), image_shape=shape, n_classes=5, seed=0)
    assert net(torch.zeros((2, *shape))).shape == (2, 5)


@pytest.mark.parametrize("name", sorted(NETS))
def test_no_image_sees_another(name):
    net = nets.build(NetConfig(name=name, width=8), image_shape=(1, 28, 28), n_classes=3, seed=0)
    images = torch.randn((6, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    net.train()
    together, alone = net(images), torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(NETS))
def test_weights_come_from_the_seed_alone(name):
    def weights(seed):
        net = nets.build(NetConfig(name=name), image_shape=(1, 8, 8), n_classes=2, seed=seed)
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    before = torch.random.get_rng_state()
    one = weights(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(weights(3), one)
    assert not torch.equal(weights(4), one)


@pytest.mark.parametrize(("shape", "parameters"), [((3, 32, 32), 320_010), ((1, 28, 28), 317_706)])
def test_convnet_3_has_the_published_number_of_parameters(shape, parameters):
    net = nets.build(NetConfig(name="convnet"), image_shape=shape, n_classes=10, seed=0)
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_resnet14_has_fourteen_weighted_layers():
    net = nets.build(NetConfig(name="resnet14"), image_shape=(3, 32, 32), n_classes=10, seed=0)
    layers = [
        m
        for name, m in net.named_modules()
        if isinstance(m, torch.nn.Conv2d | torch.nn.Linear) and "shortcut" not in name
    ]
    assert len(layers) == 14


def test_random_features_learn_only_the_head():
    net = nets.build(NetConfig(name="random-features"), image_shape=(1, 8, 8), n_classes=2, seed=0)
    assert {name for name, _ in net.named_parameters()} == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("shape", [(2, 28, 28), (1, 7, 28), (1, 129, 129)])
def test_shapes_out_of_range_are_refused(shape):
    with pytest.raises(ConfigError, match="nets take 1 or 3 channels and 8 to 128 pixels"):
        nets.build(NetConfig(), image_shape=shape, n_classes=2, seed=0)


def test_unknown_nets_are_refused_with_the_known_ones():
    with pytest.raises(ValidationError, match=r"no net 'vgg'; there are: convnet"):
        NetConfig(name="vgg")


@pytest.mark.parametrize("name", ["mlp", "convnet", "resnet9"])
def test_another_activation_stands_in_every_place_and_leaves_the_weights(name):
    def net(activation):
        config = NetConfig(name=name, width=8, activation=activation)
        return nets.build(config, image_shape=(1, 8, 8), n_classes=3, seed=0)

    plain, smooth = net("relu"), net("softplus")
    assert sum(isinstance(m, torch.nn.ReLU) for m in smooth.modules()) == 0
    places = sum(isinstance(m, torch.nn.ReLU) for m in plain.modules())
    assert sum(isinstance(m, torch.nn.Softplus) for m in smooth.modules()) == places > 0
    for before, after in zip(plain.parameters(), smooth.parameters(), strict=True):
        assert torch.equal(before, after)


def test_a_net_without_an_activation_has_none_to_change():
    config = NetConfig(name="linear", activation="silu")
    with pytest.raises(ConfigError, match="no ReLU"):
        nets.build(config, image_shape=(1, 8, 8), n_classes=3, seed=0)
