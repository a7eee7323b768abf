import numpy as np
import pytest
import torch

from sudare import nets
from sudare.core.errors import ConfigError, DataError
from sudare.core.progress import Silent
from sudare.nets import NetConfig
from sudare.nets.normalisation import normalise
from sudare.nets.predict import predict
from sudare.training import Recipe
from sudare.training.augment import augment
from sudare.training.loop import TrainingData, train
from sudare.training.observers import Unobserved
from sudare.training.optimisers import rate_at


def two_blobs(n=80, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n).astype(np.int64)
    images = rng.normal(90, 20, size=(n, 1, 8, 8)) + 70 * labels[:, None, None, None]
    return images.clip(0, 255).astype(np.uint8), labels


def trained(recipe, seed=0):
    images, labels = two_blobs()
    net = nets.build(NetConfig(name="mlp", width=8), image_shape=(1, 8, 8), n_classes=2, seed=0)
    data = TrainingData.of(images, labels, device="cpu")
    record = train(net, data, recipe, seed=seed, progress=Silent())
    return net, record


def test_training_is_deterministic_from_its_seed_and_leaves_global_state_alone():
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    one, _ = trained(Recipe(epochs=3, batch_size=16))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(5)
    two, _ = trained(Recipe(epochs=3, batch_size=16))
    other, _ = trained(Recipe(epochs=3, batch_size=16), seed=1)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    assert any(
        not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True)
    )


def test_a_net_learns_two_blobs_and_its_loss_trace_falls_for_every_image():
    net, record = trained(Recipe(epochs=15, batch_size=16, augmentation=()))
    images, labels = two_blobs()
    assert (predict(net, images, device="cpu").argmax(1) == labels).mean() > 0.95
    assert record.loss_trace.shape == (15, 80)
    assert np.isfinite(record.loss_trace).all()
    assert record.loss_trace[-1].mean() < record.loss_trace[0].mean()


def test_steps_win_over_epochs_and_end_within_an_epoch():
    _, record = trained(Recipe(epochs=50, steps=7, batch_size=16))
    assert record.steps == 7
    assert record.loss_trace.shape[0] == 2
    assert np.isnan(record.loss_trace[1]).sum() == 80 - 2 * 16


def test_soft_labels_train_too():
    images, labels = two_blobs()
    net = nets.build(NetConfig(name="linear"), image_shape=(1, 8, 8), n_classes=2, seed=0)
    soft = (np.eye(2)[labels] * 0.8 + 0.1).astype(np.float32)
    data = TrainingData.of(images, soft, device="cpu")
    recipe = Recipe(epochs=20, batch_size=16, augmentation=())
    train(net, data, recipe, seed=0, progress=Silent())
    assert (predict(net, images, device="cpu").argmax(1) == labels).mean() > 0.95


def test_divergence_is_an_error_with_advice():
    with pytest.raises(DataError, match=r"not finite.*Lower recipe\.lr"):
        trained(Recipe(epochs=5, lr=1e30, schedule="constant", warmup=0.0))


def test_no_images_is_an_error():
    with pytest.raises(DataError, match="no images"):
        TrainingData.of(np.empty((0, 1, 8, 8), np.uint8), np.empty(0, np.int64), device="cpu")


@pytest.mark.parametrize("operation", ["flip", "shift", "cutout"])
def test_each_augmentation_matches_a_loop_over_images(operation):
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(1, 255, size=(30, 3, 16, 16), dtype=np.uint8))
    views = augment(images, (operation,), torch.Generator().manual_seed(0))
    changed = 0
    for image, view in zip(images, views, strict=True):
        changed += not torch.equal(image, view)
        assert explains(operation, image.numpy(), view.numpy())
    assert changed > 8


def explains(operation, image, view):
    """Whether some draw of the operation turns the image into the view."""
    if operation == "flip":
        return np.array_equal(view, image) or np.array_equal(view, image[:, :, ::-1])
    if operation == "cutout":
        hole = (view == 0).all(axis=0)
        rows, columns = np.nonzero(hole)
        full = hole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
        return bool(full) and np.array_equal(view[:, ~hole], image[:, ~hole])
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2)))
    return any(
        np.array_equal(view, padded[:, dy : dy + 16, dx : dx + 16])
        for dy in range(5)
        for dx in range(5)
    )


def test_normalisation_uses_constants_only():
    values = normalise(torch.tensor([0, 255], dtype=torch.uint8))
    assert values.tolist() == [-2.0, 2.0]


def test_schedules_start_and_end_where_they_should():
    cosine = Recipe(lr=1.0, schedule="cosine", warmup=0.1)
    assert rate_at(cosine, 0, 100) == pytest.approx(0.1)
    assert rate_at(cosine, 10, 100) == pytest.approx(1.0)
    assert rate_at(cosine, 99, 100) < 0.001
    steps = Recipe(lr=1.0, schedule="multistep", warmup=0.0)
    assert [rate_at(steps, s, 100) for s in (0, 75, 90)] == pytest.approx([1.0, 0.1, 0.01])
    cycle = Recipe(lr=1.0, schedule="onecycle")
    assert rate_at(cycle, 20, 100) == pytest.approx(1.0)
    assert rate_at(cycle, 0, 100) == 0.0


@pytest.mark.slow
def test_the_two_dimensional_toy_orders_smoothing_as_published():
    """Struppek et al. 2024, figure 1: the attack walks far for +0.05, stops early for -0.05."""
    from sklearn.datasets import make_blobs

    points, labels = make_blobs(
        500, centers=[(0, -10), (-10, 10), (10, 10)], cluster_std=1.6, random_state=17
    )
    x, y = torch.tensor(points, dtype=torch.float32), torch.tensor(labels)
    steps = {
        alpha: np.median([toy_attack(x, y, alpha, seed) for seed in range(3)])
        for alpha in (-0.05, 0.0, 0.05)
    }
    assert steps[-0.05] < steps[0.0] < steps[0.05]


def toy_attack(x, y, alpha, seed):
    from sudare.training.losses import smoothed_cross_entropy

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = torch.nn.Sequential(
            torch.nn.Linear(2, 20),
            torch.nn.BatchNorm1d(20),
            torch.nn.ReLU(),
            torch.nn.Linear(20, 20),
            torch.nn.BatchNorm1d(20),
            torch.nn.ReLU(),
            torch.nn.Linear(20, 3, bias=False),
        )
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    for _ in range(5000):
        optimiser.zero_grad()
        smoothed_cross_entropy(net(x), y, alpha=alpha).mean().backward()
        optimiser.step()
    net.eval()
    point = torch.tensor([[-3.0, -10.0]], requires_grad=True)
    for step in range(10_000):
        logits = net(point)
        if float(logits.detach().softmax(1)[0, 2]) > 0.95:
            return step
        gradient = torch.autograd.grad(-logits.log_softmax(1)[0, 2], point)[0]
        point = (point - 0.1 * gradient).detach().requires_grad_()
    return 10_000


def test_a_head_on_fixed_features_learns_the_same_whether_they_are_kept_or_made_anew(monkeypatch):
    from sudare.training import loop

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(40, 1, 8, 8), dtype=np.uint8)
    data = TrainingData.of(images, np.arange(40) % 3, device="cpu")
    recipe = Recipe(epochs=4, batch_size=16, lr=0.1, weight_decay=0.0, augmentation=())
    config = nets.NetConfig(name="random-features", width=4)
    states, traces = [], []
    for kept in (True, False):
        if not kept:
            monkeypatch.setattr(loop, "_on_fixed_features", lambda net, data, recipe: (net, data))
        net = nets.build(config, image_shape=(1, 8, 8), n_classes=3, seed=0)
        record = train(net, data, recipe, seed=0, progress=Silent())
        states.append(net.state_dict())
        traces.append(record.loss_trace)
    assert np.allclose(*traces, rtol=1e-4)
    for name, value in states[0].items():
        assert torch.allclose(value, states[1][name], atol=1e-5), name
    fresh = nets.build(config, image_shape=(1, 8, 8), n_classes=3, seed=0).state_dict()
    assert not torch.equal(states[0]["classifier.weight"], fresh["classifier.weight"])


def test_an_observer_and_checkpoints_see_training_and_change_nothing():
    class Counting(Unobserved):
        def __init__(self):
            self.rows, self.steps = [], 0

        def sampled(self, rows):
            self.rows.append(rows.tolist())

        def released(self, parameters):
            assert all(p.grad is not None for p in parameters)
            self.steps += 1

    images, labels = two_blobs()
    plain, _ = trained(Recipe(epochs=3, batch_size=16))
    net = nets.build(NetConfig(name="mlp", width=8), image_shape=(1, 8, 8), n_classes=2, seed=0)
    watcher, kept = Counting(), {}
    train(
        net,
        TrainingData.of(images, labels, device="cpu"),
        Recipe(epochs=3, batch_size=16),
        seed=0,
        progress=Silent(),
        observer=watcher,
        after_epoch=lambda epoch, net: kept.update(
            {epoch: [p.detach().clone() for p in net.parameters()]}
        ),
    )
    assert watcher.steps == 15
    assert sorted(row for rows in watcher.rows[:5] for row in rows) == list(range(80))
    assert list(kept) == [1, 2, 3]
    for a, b, last in zip(plain.parameters(), net.parameters(), kept[3], strict=True):
        assert torch.equal(a, b)
        assert torch.equal(b, last)
    assert not torch.equal(kept[1][0], kept[3][0])


def test_gradient_canaries_are_for_dp_sgd_only():
    watcher = Unobserved()
    watcher.canaries = 3
    images, labels = two_blobs()
    net = nets.build(NetConfig(name="mlp", width=8), image_shape=(1, 8, 8), n_classes=2, seed=0)
    data = TrainingData.of(images, labels, device="cpu")
    with pytest.raises(ConfigError, match="only DP-SGD"):
        train(net, data, Recipe(epochs=1), seed=0, progress=Silent(), observer=watcher)
