"""Evasion against another library's attacks, and what every attack promises."""

import warnings

import numpy as np
import pytest
import torch
from scipy import optimize
from sklearn.datasets import load_digits
from torch import nn

from sudare.attacks.evasion import (
    AutoAttack,
    AutoPgd,
    CarliniWagner,
    DeepFool,
    Fab,
    Fgsm,
    Pgd,
    PixelNet,
    Square,
    TargetedAutoPgd,
)
from sudare.attacks.evasion.apgd import checkpoints, dlr_loss, targeted_dlr_loss
from sudare.attacks.evasion.base import fooled, into_ball, lengths
from sudare.attacks.evasion.bim import Bim
from sudare.attacks.evasion.corruptions import CORRUPTIONS, corrupt
from sudare.attacks.evasion.fab import onto_plane
from sudare.core.errors import AuditError
from sudare.nets import NetConfig
from sudare.nets import build as build_net
from sudare.nets.normalisation import normalise

EPSILON = 0.15
ATTACKS = {
    "fgsm": Fgsm(epsilon=EPSILON),
    "fgsm-l2": Fgsm(epsilon=1.0, norm="l2"),
    "bim": Bim(epsilon=EPSILON),
    "bim-l2": Bim(epsilon=1.0, norm="l2"),
    "pgd": Pgd(epsilon=EPSILON, steps=10),
    "pgd-l2": Pgd(epsilon=1.0, norm="l2", steps=10),
    "apgd-ce": AutoPgd(epsilon=EPSILON, steps=15),
    "apgd-dlr": AutoPgd(epsilon=EPSILON, steps=15, loss="dlr"),
    "apgd-l2": AutoPgd(epsilon=1.0, norm="l2", steps=15),
    "apgd-t": TargetedAutoPgd(epsilon=EPSILON, steps=15, classes=3),
    "apgd-t-l2": TargetedAutoPgd(epsilon=1.0, norm="l2", steps=15, classes=3),
    "autoattack": AutoAttack(epsilon=EPSILON, steps=10, classes=2, queries=30),
    "autoattack-l2": AutoAttack(epsilon=1.0, norm="l2", steps=10, classes=2),
    "fab": Fab(epsilon=EPSILON, steps=15),
    "fab-l2": Fab(epsilon=1.0, norm="l2", steps=15),
    "square": Square(epsilon=EPSILON, queries=60),
    "deepfool": DeepFool(epsilon=EPSILON),
    "deepfool-l2": DeepFool(epsilon=1.0, norm="l2"),
    "carlini": CarliniWagner(epsilon=1.0, steps=60, searches=2),
}
EVERY_ATTACK = sorted(ATTACKS)
TARGETED = sorted(set(ATTACKS) - {"deepfool", "deepfool-l2"})


@pytest.fixture(scope="module")
def trained():
    """A net that knows digits, with images and labels in 0 to 1."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(digits.target)
    net = build_net(
        NetConfig(name="convnet", width=8, depth=2), image_shape=(1, 8, 8), n_classes=10, seed=0
    )
    pixel_net = PixelNet(net)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    torch.manual_seed(0)
    for _ in range(150):
        rows = torch.randint(1000, (128,))
        loss = nn.functional.cross_entropy(pixel_net(images[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return pixel_net.eval(), images[1000:1200], labels[1000:1200]


def accuracy(net, images, labels):
    return float((~fooled(net, images, labels)).float().mean())


@pytest.mark.parametrize("name", EVERY_ATTACK)
def test_changes_stay_in_the_ball_and_in_range_and_fool(trained, name):
    net, images, labels = trained
    attack = ATTACKS[name]
    changed = attack(net, images, labels, seed=1)
    assert float(lengths(changed - images, attack.norm).max()) <= attack.epsilon + 1e-6
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert accuracy(net, changed, labels) < accuracy(net, images, labels) - 0.1
    # What was not fooled is what it was.
    kept = ~fooled(net, changed, labels)
    assert torch.equal(changed[kept], images[kept])


@pytest.mark.parametrize("name", EVERY_ATTACK)
def test_attacks_are_deterministic_and_leave_the_net_alone(trained, name):
    net, images, labels = trained
    before = [p.clone() for p in net.parameters()]
    one, two = (ATTACKS[name](net, images[:20], labels[:20], seed=5) for _ in range(2))
    assert torch.equal(one, two)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


@pytest.mark.parametrize("name", TARGETED)
def test_a_target_is_what_the_net_then_says(trained, name):
    net, images, labels = trained
    targets = (labels + 1) % 10
    changed = ATTACKS[name](net, images, labels, targets=targets)
    moved = (changed != images).flatten(1).any(dim=1)
    with torch.no_grad():
        assert bool((net(changed).argmax(dim=1)[moved] == targets[moved]).all())


@pytest.mark.parametrize("name", EVERY_ATTACK)
def test_a_constant_classifier_and_no_images_are_no_trouble(name):
    class Constant(nn.Module):
        def forward(self, images):
            return torch.zeros(len(images), 3) + images.sum() * 0 + torch.tensor([1.0, 0, 0])

    images = torch.rand(4, 1, 8, 8)
    changed = ATTACKS[name](Constant(), images, torch.zeros(4, dtype=torch.int64))
    assert torch.equal(changed, images)
    assert len(ATTACKS[name](Constant(), images[:0], torch.zeros(0, dtype=torch.int64))) == 0


@pytest.mark.parametrize("name", sorted(set(EVERY_ATTACK) - {"square", "carlini"}))
def test_a_net_that_hides_its_gradient_is_named(trained, name):
    net, images, labels = trained

    class Detached(nn.Module):
        def forward(self, images):
            return net(images.detach()).detach()

    with pytest.raises(AuditError, match="gives no gradient"):
        ATTACKS[name](Detached(), images[:4], labels[:4])
    assert accuracy(net, ATTACKS["square"](Detached(), images, labels), labels) < 0.9


def test_a_scaled_net_hides_from_cross_entropy_and_not_from_the_ratio(trained):
    net, images, labels = trained

    class Scaled(nn.Module):
        def forward(self, images):
            return 1e4 * net(images)

    left = {
        loss: accuracy(
            net, AutoPgd(epsilon=0.1, steps=20, loss=loss)(Scaled(), images, labels), labels
        )
        for loss in ("ce", "dlr")
    }
    assert left["dlr"] < left["ce"]


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 1, 5), (2, 1, 2, 2)])
@pytest.mark.parametrize("name", EVERY_ATTACK)
def test_the_smallest_images_can_be_attacked(name, shape):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape[1:])), 2))
    images = torch.rand(shape)
    labels = net(images).argmax(dim=1)
    changed = ATTACKS[name](net, images, labels)
    assert changed.shape == images.shape
    assert (
        float(lengths(changed - images, ATTACKS[name].norm).max()) <= ATTACKS[name].epsilon + 1e-6
    )


def test_images_outside_zero_and_one_are_refused():
    with pytest.raises(AuditError, match="0 to 1"):
        Fgsm()(nn.Flatten(), torch.full((1, 1, 2, 2), 2.0), torch.zeros(1, dtype=torch.int64))


# --- another library


@pytest.fixture(scope="module")
def foolbox():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox as library
    return library


def peer(foolbox, attack, trained, epsilon):
    net, images, labels = trained
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = foolbox.PyTorchModel(net, bounds=(0, 1))
        _, _, won = attack(model, images, labels, epsilons=epsilon)
    return won


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.2])
def test_fgsm_agrees_with_foolbox_image_by_image(foolbox, trained, epsilon):
    net, images, labels = trained
    theirs = peer(foolbox, foolbox.attacks.LinfFastGradientAttack(), trained, epsilon)
    ours = fooled(net, Fgsm(epsilon=epsilon)(net, images, labels), labels)
    assert float((ours == theirs).float().mean()) == 1.0


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.2])
def test_pgd_fools_what_foolbox_fools(foolbox, trained, epsilon):
    net, images, labels = trained
    attack = foolbox.attacks.LinfPGD(rel_stepsize=0.1, steps=20, random_start=False)
    theirs = peer(foolbox, attack, trained, epsilon)
    ours = Pgd(epsilon=epsilon, steps=20, random_start=False)
    own = fooled(net, ours(net, images, labels), labels)
    # Ours stops at the first success and so can only fool more.
    assert bool((own | ~theirs).all())
    assert float((own == theirs).float().mean()) > 0.98


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.2])
def test_bim_fools_what_foolbox_fools(foolbox, trained, epsilon):
    net, images, labels = trained
    attack = foolbox.attacks.LinfBasicIterativeAttack(random_start=False)
    theirs = peer(foolbox, attack, trained, epsilon)
    own = fooled(net, Bim(epsilon=epsilon)(net, images, labels), labels)
    assert bool((own | ~theirs).all())
    assert float((own == theirs).float().mean()) > 0.98


@pytest.mark.parametrize("epsilon", [0.3, 0.6, 1.0])
def test_shortest_changes_are_no_longer_than_foolboxs(foolbox, trained, epsilon):
    net, images, labels = trained
    for theirs, ours in (
        (foolbox.attacks.L2DeepFoolAttack(steps=50), DeepFool(epsilon=epsilon, norm="l2")),
        (
            foolbox.attacks.L2CarliniWagnerAttack(
                steps=60, binary_search_steps=3, initial_const=1.0
            ),
            CarliniWagner(epsilon=epsilon, steps=60, searches=3),
        ),
    ):
        won = float(peer(foolbox, theirs, trained, epsilon).float().mean())
        own = float(fooled(net, ours(net, images, labels), labels).float().mean())
        assert own >= won - 0.02, type(ours).__name__
        if isinstance(ours, DeepFool):
            assert own <= won + 0.02


def test_auto_pgd_is_no_weaker_than_pgd(trained):
    net, images, labels = trained
    for epsilon in (0.05, 0.1):
        weak = accuracy(net, Pgd(epsilon=epsilon, steps=40)(net, images, labels), labels)
        strong = accuracy(net, AutoPgd(epsilon=epsilon, steps=40)(net, images, labels), labels)
        assert strong <= weak + 0.01


def test_autoattack_fools_all_that_one_of_its_parts_fools(trained):
    net, images, labels = trained
    whole = AutoAttack(epsilon=0.05, steps=20, classes=3, queries=50)
    left = ~fooled(net, whole(net, images, labels), labels)
    for part in (AutoPgd(epsilon=0.05, steps=20), TargetedAutoPgd(epsilon=0.05, steps=20)):
        # Other starting points: an image or two at the edge may go either way.
        missed = left & fooled(net, part(net, images, labels), labels)
        assert int(missed.sum()) <= 2
    assert 0 < int(left.sum()) < len(images)


def test_targets_reach_what_no_single_direction_does(trained):
    """All wrong classes as targets beat the first of them alone."""
    net, images, labels = trained
    one, every = (
        accuracy(
            net, TargetedAutoPgd(epsilon=0.08, steps=20, classes=k)(net, images, labels), labels
        )
        for k in (1, 9)
    )
    assert every <= one


def test_fab_fools_what_auto_pgd_fools_and_its_changes_are_short(trained):
    net, images, labels = trained
    for epsilon in (0.05, 0.1):
        strong = accuracy(net, AutoPgd(epsilon=epsilon, steps=40)(net, images, labels), labels)
        own = accuracy(net, Fab(epsilon=epsilon, steps=40)(net, images, labels), labels)
        assert abs(own - strong) <= 0.02
    wide = Fab(epsilon=0.5, steps=40)(net, images, labels)
    won = fooled(net, wide, labels) & ~fooled(net, images, labels)
    assert float(lengths(wide - images, "linf")[won].median()) < 0.2


# --- parts


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_way_onto_a_plane_is_the_shortest_in_the_box(norm):
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(40, 1, 2, 3))
    slope = rng.normal(size=images.shape) * (rng.uniform(size=images.shape) > 0.2)
    goal = rng.normal(size=40)
    tensors = (torch.from_numpy(array) for array in (images, slope, goal))
    found = onto_plane(*tensors, norm=norm).flatten(1).numpy()
    for change, image, normal, aim in zip(
        found, images.reshape(40, -1), slope.reshape(40, -1), goal, strict=True
    ):
        low, high = -image, 1 - image
        most = np.maximum(np.sign(aim) * normal * low, np.sign(aim) * normal * high).sum()
        assert (change >= low - 1e-9).all()
        assert (change <= high + 1e-9).all()
        if most <= abs(aim):
            assert change @ normal == pytest.approx(np.sign(aim) * most)
            continue
        assert change @ normal == pytest.approx(aim)
        if norm == "linf":
            # Minimise r with |d| <= r: a linear program in (d, r).
            size = len(image)
            one = np.ones((size, 1))
            bounds = np.block([[np.eye(size), -one], [-np.eye(size), -one]])
            told = optimize.linprog(
                np.r_[np.zeros(size), 1],
                A_ub=bounds,
                b_ub=np.zeros(2 * size),
                A_eq=np.r_[normal, 0][None],
                b_eq=[aim],
                bounds=[*zip(low, high, strict=True), (0, None)],
            )
            assert np.abs(change).max() == pytest.approx(told.fun)
        else:
            told = optimize.minimize(
                lambda d: d @ d,
                np.zeros(len(image)),
                jac=lambda d: 2 * d,
                bounds=list(zip(low, high, strict=True)),
                constraints={"type": "eq", "fun": lambda d, w=normal, a=aim: d @ w - a},
                method="SLSQP",
            )
            assert change @ change == pytest.approx(told.fun, rel=1e-4, abs=1e-7)


def test_the_ratio_loss_is_that_of_the_paper_by_hand():
    logits = torch.tensor([[5.0, 3.0, 1.0, 0.0]])
    y, t = torch.tensor([0]), torch.tensor([2])
    assert float(dlr_loss(logits, y)) == pytest.approx(-(5 - 3) / (5 - 1))
    assert float(targeted_dlr_loss(logits, y, t)) == pytest.approx(-(5 - 1) / (5 - (1 + 0) / 2))
    shifted = 7 * logits + 3
    assert float(dlr_loss(shifted, y)) == pytest.approx(float(dlr_loss(logits, y)))
    assert float(dlr_loss(logits[:, :2], y)) == -2.0


def test_checkpoints_are_the_published_ones():
    assert sorted(checkpoints(100))[:6] == [22, 41, 57, 70, 80, 87]


def test_the_ball_is_cut_before_the_range():
    around = torch.full((1, 1, 1, 2), 0.95)
    cut = into_ball(torch.tensor([[[[2.0, 0.0]]]]), around, 0.1, "linf")
    assert torch.allclose(cut, torch.tensor([[[[1.0, 0.85]]]]))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruptions_grow_with_severity_and_stay_in_range(kind):
    images = torch.rand(4, 3, 16, 16)
    changes = [
        float((corrupt(images, kind, level, seed=0) - images).abs().mean()) for level in range(1, 6)
    ]
    assert changes == sorted(changes)
    assert changes[0] > 0
    worst = corrupt(images, kind, 5, seed=0)
    assert 0 <= float(worst.min()) <= float(worst.max()) <= 1
    assert corrupt(images[:, :, :1, :1], kind, 5, seed=0).shape == (4, 3, 1, 1)


def test_unknown_corruptions_are_refused():
    for kind, severity in (("fog", 1), ("noise", 0), ("noise", 6)):
        with pytest.raises(AuditError, match="no corruption"):
            corrupt(torch.rand(1, 1, 4, 4), kind, severity, seed=0)


def test_pixels_reach_the_net_as_everywhere_else():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    net = PixelNet(nn.Identity())
    assert torch.allclose(net(pixels.float() / 255), normalise(pixels), atol=1e-6)
