"""Adversarial training and balance between classes: what they do, and what they refuse."""

import numpy as np
import pytest
import torch

from sudare.attacks.evasion import Pgd, PixelNet
from sudare.attacks.evasion.base import fooled
from sudare.core.errors import ConfigError
from sudare.core.progress import Silent
from sudare.nets import NetConfig
from sudare.nets import build as build_net
from sudare.nets.normalisation import STD
from sudare.nets.predict import predict
from sudare.training import Recipe
from sudare.training.adversarial import adversarial_view
from sudare.training.balance import class_weights
from sudare.training.dpsgd import train_private
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import DpConfig


def digits(n=600):
    from sklearn.datasets import load_digits

    given = load_digits()
    images = (given.images * 15).astype(np.uint8)[:, None]
    return (
        images[:n],
        given.target[:n].astype(np.int64),
        images[n : n + 200],
        given.target[n : n + 200],
    )


def trained(images, labels, **settings):
    net = build_net(
        NetConfig(name="convnet", width=8, depth=2), image_shape=(1, 8, 8), n_classes=10, seed=0
    )
    recipe = Recipe(epochs=12, batch_size=64, lr=0.05, augmentation=(), compile="off", **settings)
    data = TrainingData.of(images, labels, device="cpu")
    record = train(net, data, recipe, seed=0, progress=Silent())
    return net.eval(), record


def test_a_view_is_moved_within_the_ball_and_makes_the_loss_larger():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    view, labels = torch.rand(8, 1, 4, 4) * 4 - 2, torch.arange(8) % 3

    def losses(images):
        return torch.nn.functional.cross_entropy(net(images), labels, reduction="none")

    moved = adversarial_view(
        losses, view, epsilon=8, steps=5, generator=torch.Generator().manual_seed(0)
    )
    assert float((moved - view).abs().max()) <= 8 / STD + 1e-6
    assert float(moved.abs().max()) <= 2
    assert bool((losses(moved) >= losses(view)).all())


def test_adversarial_training_makes_a_net_more_robust():
    images, labels, others, truth = digits()
    pixels, wanted = torch.from_numpy(others).float() / 255, torch.from_numpy(truth)
    left = []
    for adversarial in (0.0, 24.0):
        net = PixelNet(trained(images, labels, adversarial=adversarial)[0])
        attacked = Pgd(epsilon=24 / 255, steps=20)(net, pixels, wanted)
        left.append(float((~fooled(net, attacked, wanted)).float().mean()))
    assert left[1] > left[0] + 0.1


def test_weights_make_classes_count_equally():
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    weights = class_weights(labels)
    sums = [float(weights[labels == label].sum()) for label in range(3)]
    assert sums == pytest.approx([2.0, 2.0, 2.0])
    soft = torch.nn.functional.one_hot(labels, 4).float()
    assert torch.equal(class_weights(soft), weights)


@pytest.mark.parametrize("balance", ["sampling", "loss"])
def test_balance_helps_the_rare_class(balance):
    images, labels, others, truth = digits(900)
    rare = (labels == 8).nonzero()[0]
    keep = np.setdiff1d(np.arange(len(labels)), rare[4:])
    recall = []
    for how in ("none", balance):
        net, _ = trained(images[keep], labels[keep], balance=how)
        answers = predict(net, others, device="cpu").argmax(axis=1)
        recall.append((answers[truth == 8] == 8).mean())
    assert recall[1] > recall[0]


def test_balanced_sampling_draws_classes_equally_often():
    images, labels, *_ = digits()
    labels = np.where(labels < 9, 0, 9)
    _, record = trained(images, labels, balance="sampling")
    drawn = ~np.isnan(record.loss_trace)
    assert drawn[:, labels == 9].mean() > 0.9
    assert drawn[:, labels == 0].mean() < 0.6


@pytest.mark.parametrize("settings", [{"adversarial": 4.0}, {"balance": "loss"}])
def test_dp_sgd_refuses_what_its_ledger_does_not_pay_for(settings):
    net = build_net(NetConfig(name="mlp", width=4), image_shape=(1, 8, 8), n_classes=10, seed=0)
    images, labels, *_ = digits(64)
    data = TrainingData.of(images, labels, device="cpu")
    with pytest.raises(ConfigError, match="the ledger does not pay for"):
        train_private(
            net, data, Recipe(epochs=1, **settings), DpConfig(delta=1e-3), seed=0, progress=Silent()
        )


def test_each_group_within_each_class_counts_equally():
    labels, groups = torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor([0, 0, 0, 1, 1, 1])
    weights = class_weights(labels, groups)
    cells = 10 * labels + groups
    sums = [float(weights[cells == cell].sum()) for cell in cells.unique()]
    assert sums == pytest.approx([2.0, 2.0, 2.0])


@pytest.mark.parametrize("balance", ["sampling", "loss"])
def test_balance_between_groups_helps_the_rare_one(balance):
    """A group whose labels lie the other way round: only its own images teach it."""
    rng = np.random.default_rng(0)
    labels, groups = np.arange(400) % 2, (np.arange(400) >= 384).astype(np.int64)
    bright = np.where((labels == 1) ^ (groups == 1), 180, 60)
    pixels = bright[:, None, None, None] + rng.integers(-30, 30, (400, 1, 8, 8))
    pixels[:, :, 0, 0] = np.where(groups == 1, 255, 0)[:, None]
    images = pixels.clip(0, 255).astype(np.uint8)
    recall = []
    for how in ("none", balance):
        config = NetConfig(name="mlp", width=16)
        net = build_net(config, image_shape=(1, 8, 8), n_classes=2, seed=0)
        data = TrainingData.of(images, labels, device="cpu", groups=groups)
        recipe = Recipe(epochs=3, batch_size=32, lr=0.05, balance=how, balance_by="group")
        train(net, data, recipe, seed=0, progress=Silent())
        answers = predict(net, images, device="cpu").argmax(axis=1)
        recall.append((answers == labels)[groups == 1].mean())
    assert recall[1] > recall[0]


def test_groups_cannot_be_balanced_where_there_are_none():
    images, labels, *_ = digits(64)
    with pytest.raises(ConfigError, match="no groups that could be balanced"):
        trained(images, labels, balance="loss", balance_by="group")
