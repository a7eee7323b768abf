"""Distillation against independent oracles: by hand, finite differences, brute force."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from sudare.core.errors import ConfigError, DataError
from sudare.data.images import ImageDataset
from sudare.nets.convnet import ConvNet
from sudare.nets.normalisation import normalise
from sudare.releases.multi_formation import decode
from sudare.releases.store import read_release, write_release
from sudare.routes import make_route, parse_route
from sudare.routes.base import Role
from sudare.routes.context import BuildContext, FolderStages
from sudare.routes.distillation.common import start_images
from sudare.routes.distillation.coreset import herding, k_center
from sudare.routes.distillation.dm import mean_distance
from sudare.routes.distillation.dsa import gradient_distance, published_loops
from sudare.routes.distillation.idc import conv_distance, cutmix
from sudare.routes.distillation.mtt import FlatNet, trajectory_gradients
from sudare.training.dsa import OPERATIONS, apply, draw, draw_of, operations_of

NET = {"name": "convnet", "width": 4}
METHODS = {
    "dm": {"name": "dm", "iterations": 4, "batch_real": 8},
    "dsa": {"name": "dsa", "iterations": 2, "outer": 2, "inner": 1, "batch_real": 8},
    "mtt": {
        "name": "mtt", "iterations": 3, "experts": 2, "expert_epochs": 4, "inner_steps": 2,
        "latest_start": 2, "lr": 1.0,
    },
    "idc": {"name": "idc", "iterations": 2, "inner": 2, "net_images": 16, "batch_real": 8},
}  # fmt: skip
EVERY_METHOD = sorted(METHODS)


def images(n=48, side=16, classes=3, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    pixels = rng.integers(0, 120, size=(n, channels, side, side)) + 60 * labels[:, None, None, None]
    return ImageDataset(
        images=pixels.astype(np.uint8),
        labels=labels.astype(np.int64),
        class_names=tuple("abc"[:classes]),
        unit=np.arange(n),
        name="private",
    )


def build(name, *, private=None, public=None, seed=0, stages=None, **settings):
    data = images() if private is None else private
    route = make_route(
        parse_route(
            {
                "kind": "distillation",
                "method": METHODS[name],
                "images_per_class": 2,
                "init": "real",
                "net": NET,
                **settings,
            }
        )
    )
    known = data[:0] if public is None else public
    return route.build(data, BuildContext.of(known, seed=seed, stages=stages))


def release_of(made):
    (release,) = made.releases.values()
    return release


# --- siamese augmentation


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_change_is_the_same_for_real_and_synthetic_images(operation):
    batch = torch.randn(6, 3, 12, 12)
    change = draw_of(operation, torch.Generator().manual_seed(1))
    whole = apply(batch, change)
    parts = torch.cat([apply(batch[:2], change), apply(batch[2:], change)])
    assert torch.equal(whole, parts)
    assert whole.shape == batch.shape


@pytest.mark.parametrize("operation", OPERATIONS)
def test_changes_of_their_own_differ_from_image_to_image(operation):
    one = torch.randn(1, 3, 12, 12).repeat(16, 1, 1, 1)
    changed = apply(one, draw_of(operation, torch.Generator().manual_seed(0), n=16))
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 1


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_change_passes_exact_gradients(operation):
    change = draw_of(operation, torch.Generator().manual_seed(2))
    batch = torch.randn(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    exact = type(change)(operation=operation, numbers=change.numbers.double())
    assert torch.autograd.gradcheck(lambda x: apply(x, exact), (batch,))


def test_grey_images_have_no_saturation():
    change = draw_of("color", torch.Generator().manual_seed(0))
    grey = torch.randn(2, 1, 5, 5)
    u, _, w = change.numbers[0]
    bright = grey + u - 0.5
    mean = bright.mean(dim=(1, 2, 3), keepdim=True)
    assert torch.allclose(apply(grey, change), (bright - mean) * (w + 0.5) + mean, atol=1e-6)


def test_crops_shift_by_at_most_an_eighth_and_fill_with_zero():
    batch, seen = torch.ones(1, 1, 32, 32), set()
    for seed in range(200):
        moved = apply(batch, draw_of("crop", torch.Generator().manual_seed(seed)))[0, 0]
        rows, columns = int((moved.sum(1) > 0).sum()), int((moved.sum(0) > 0).sum())
        assert rows >= 28
        assert columns >= 28
        seen |= {rows, columns}
    assert seen == {28, 29, 30, 31, 32}


def test_holes_are_half_the_side_where_they_fit():
    batch = torch.ones(1, 1, 32, 32)
    sizes = {
        int((apply(batch, draw_of("cutout", torch.Generator().manual_seed(s))) == 0).sum())
        for s in range(100)
    }
    assert max(sizes) == 256
    assert min(sizes) >= 64


def test_the_strategy_without_mirrors_never_flips():
    assert "flip" not in operations_of(flips=False)
    rng = torch.Generator().manual_seed(0)
    drawn = {draw(operations_of(flips=True), rng).operation for _ in range(200)}
    assert drawn == set(OPERATIONS)


# --- DM


def test_class_means_are_exact():
    torch.manual_seed(0)
    net = ConvNet((1, 8, 8), 3, width=4, depth=2)
    real, synthetic = torch.randn(9, 1, 8, 8), torch.randn(6, 1, 8, 8)
    sizes = [2, 3, 4]
    oracle, at = 0.0, 0
    for label, size in enumerate(sizes):
        mine = torch.stack([net.embed(x[None])[0] for x in real[at : at + size]]).mean(dim=0)
        own = torch.stack([net.embed(x[None])[0] for x in synthetic[2 * label : 2 * label + 2]])
        oracle += float(((mine - own.mean(dim=0)) ** 2).sum().detach())
        at += size
    found = mean_distance(net, real, sizes, synthetic, 2).detach()
    assert float(found) == pytest.approx(oracle, rel=1e-4)


# --- gradient matching


def test_the_gradient_distance_is_that_of_the_paper_by_hand():
    found = [torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([9.0, 9.0])]
    wanted = [torch.tensor([[4.0, 3.0], [-1.0, 0.0]]), torch.tensor([1.0, -1.0])]
    # Cosines 24/25 and -1; the one-dimensional tensor does not count.
    assert float(gradient_distance(found, wanted)) == pytest.approx(1 - 24 / 25 + 2, abs=1e-5)
    filters = torch.randn(4, 3, 3, 3)
    flat = 1 - nn.functional.cosine_similarity(filters.flatten(1), -2 * filters.flatten(1))
    assert float(gradient_distance([filters], [-2 * filters])) == pytest.approx(float(flat.sum()))


def test_idc_matches_convolutions_only():
    a, b = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    found, wanted = [a, torch.randn(5, 5), torch.randn(2)], [b, torch.randn(5, 5), torch.randn(2)]
    assert float(conv_distance(found, wanted, "mse")) == pytest.approx(float(((a - b) ** 2).sum()))
    assert float(conv_distance(found, wanted, "l1")) == pytest.approx(float((a - b).abs().sum()))


@pytest.mark.parametrize(
    ("size", "loops"), [(1, (1, 1)), (10, (10, 50)), (12, (10, 50)), (60, (50, 10))]
)
def test_loops_are_the_published_ones_of_the_nearest_size(size, loops):
    assert published_loops(size) == loops


# --- formations


def test_formations_are_cut_row_by_row_and_enlarged():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    pieces = decode(image, 2)
    assert pieces.shape == (4, 1, 4, 4)
    for piece, (y, x) in zip(pieces, itertools.product((0, 2), (0, 2)), strict=True):
        small = image[:, :, y : y + 2, x : x + 2]
        oracle = nn.functional.interpolate(small, size=(4, 4), mode="bilinear")
        assert torch.equal(piece, oracle[0])
    assert decode(image, 1) is image


def test_a_side_that_cannot_be_divided_is_padded():
    pieces = decode(torch.ones(2, 3, 5, 5), 2)
    assert pieces.shape == (8, 3, 5, 5)
    assert bool((pieces[0] == 1).all())
    assert bool((pieces[3] < 1).any())


def test_a_reader_trains_on_every_formation(tmp_path):
    release = release_of(build("idc"))
    write_release(release, tmp_path / "idc")
    training_set = read_release(tmp_path / "idc").training_set()
    assert training_set.images.shape == (24, 1, 16, 16)
    assert training_set.soft_labels.argmax(axis=1).tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert len(release.pictures()[0]) == 6


def test_collages_and_formations_are_inverse_up_to_blur():
    data = images(n=48, side=16)
    smooth = np.repeat(np.repeat(data.images[:, :, ::8, ::8], 8, axis=2), 8, axis=3)
    data = ImageDataset(
        images=smooth, labels=data.labels, class_names=data.class_names, unit=data.unit
    )
    start = start_images(data, 1, init="real", factor=2, seed=0, device="cpu")
    pieces = decode(start.images, 2)
    originals = normalise(torch.from_numpy(data.images[start.rows]))
    assert float((pieces - originals).abs().mean()) < 0.25
    assert len(start.rows) == 12


def test_cutmix_says_how_much_is_left():
    batch = torch.arange(8.0).reshape(8, 1, 1, 1).expand(8, 1, 20, 20).contiguous()
    for seed in range(20):
        mixed, partner, share = cutmix(batch, torch.Generator().manual_seed(seed))
        own = (mixed == batch).float().mean(dim=(1, 2, 3))
        moved = partner != torch.arange(8)
        assert torch.allclose(own[moved], torch.tensor(share), atol=1e-6)
        assert 0 <= share <= 1


# --- MTT


def student():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    flat = FlatNet(net)
    size = sum(p.numel() for p in net.parameters())
    start, target = torch.randn(2, size, dtype=torch.float64)
    pixels = torch.randn(5, 1, 2, 2, dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 1, 1])
    views = [lambda x: x, lambda x: 1.5 * x + 0.1]
    return flat, pixels, labels, views, start, target


def unrolled(flat, pixels, labels, views, start, target, lr):
    """The loss by plain autograd through every step."""
    weights = start.clone().requires_grad_()
    at = weights
    for view in views:
        loss = nn.functional.cross_entropy(flat(at, view(pixels)), labels)
        at = at - lr * torch.autograd.grad(loss, [at], create_graph=True)[0]
    return ((at - target) ** 2).sum() / ((start - target) ** 2).sum()


def test_trajectory_gradients_are_those_of_the_unrolled_student():
    flat, pixels, labels, views, start, target = student()
    loss, by_image, by_lr = trajectory_gradients(
        flat, pixels, labels, views, start=start, target=target, lr=0.3
    )
    free, rate = (
        pixels.clone().requires_grad_(),
        torch.tensor(0.3, dtype=torch.float64, requires_grad=True),
    )
    oracle = unrolled(flat, free, labels, views, start, target, rate)
    wanted, wanted_lr = torch.autograd.grad(oracle, [free, rate])
    assert loss == pytest.approx(float(oracle.detach()), rel=1e-12)
    assert torch.allclose(by_image, wanted, rtol=1e-9, atol=1e-12)
    assert by_lr == pytest.approx(float(wanted_lr), rel=1e-5)


def test_trajectory_gradients_are_finite_differences():
    flat, pixels, labels, views, start, target = student()
    _, by_image, by_lr = trajectory_gradients(
        flat, pixels, labels, views, start=start, target=target, lr=0.3
    )

    def loss(images, lr=0.3):
        return float(unrolled(flat, images, labels, views, start, target, lr).detach())

    for place in ((0, 0, 0, 0), (3, 0, 1, 0)):
        step = torch.zeros_like(pixels)
        step[place] = 1e-5
        slope = (loss(pixels + step) - loss(pixels - step)) / 2e-5
        assert float(by_image[place]) == pytest.approx(slope, rel=1e-5)
    assert by_lr == pytest.approx((loss(pixels, 0.30001) - loss(pixels, 0.29999)) / 2e-5, rel=1e-5)


def test_expert_snapshots_are_copies_and_survive_in_stages(tmp_path):
    made = build("mtt", stages=FolderStages(tmp_path))
    paths = sorted(tmp_path.rglob("path.npy"))
    assert len(paths) == 2
    path = np.load(paths[0])
    assert path.shape[0] == 5
    assert len({row.tobytes() for row in path}) == 5
    before = [p.stat().st_mtime_ns for p in paths]
    again = build("mtt", stages=FolderStages(tmp_path))
    assert [p.stat().st_mtime_ns for p in paths] == before
    assert np.array_equal(release_of(made).images, release_of(again).images)


def test_experts_that_are_too_short_are_refused():
    with pytest.raises(ConfigError, match="have no 5 to be matched"):
        build("mtt", method={**METHODS["mtt"], "span": 5})


# --- all of them


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_learned_images_move_and_their_origin_is_on_record(method):
    data = images()
    made = build(method, private=data)
    release = release_of(made)
    assert release.images.dtype == np.float16
    assert release.images.shape == (6, 1, 16, 16)
    started = 24 if method == "idc" else 6
    assert (made.record.roles == Role.INIT).sum() == started
    if method != "idc":
        first = normalise(torch.from_numpy(data.images[made.record.roles == Role.INIT]))
        distance = np.abs(release.images.astype(np.float32)[:, None] - first.numpy()[None])
        assert distance.max(axis=(2, 3, 4)).min(axis=1).min() > 1e-3
    assert release.card.spec.initial == "random private images"
    assert release.card.spec.recipe["augmentation"] == ["dsa"]


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_images_may_start_from_noise_alone(method):
    made = build(method, init="noise")
    assert not (made.record.roles == Role.INIT).any()
    assert release_of(made).card.spec.initial == "noise"


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_images_may_start_from_public_ones_and_the_card_says_so(method):
    made = build(method, init="public", public=images(n=60, seed=7))
    assert not (made.record.roles == Role.INIT).any()
    assert release_of(made).card.spec.initial == "public images"
    assert "started from public images" in release_of(made).card.what_leaves


def test_a_start_from_public_images_needs_some():
    with pytest.raises(DataError, match="class 'a' has 0 public images"):
        build("dm", init="public")
    other = images(n=60, classes=2)
    start = start_images(images(), 3, init="public", public=other, factor=1, seed=0, device="cpu")
    assert len(start.images) == 9
    assert not len(start.rows)


def test_nothing_starts_from_private_images_unless_it_is_said():
    config = parse_route({"kind": "distillation", "method": METHODS["dm"]})
    assert (config.init, config.name) == ("noise", "dm-10")
    real = parse_route({"kind": "distillation", "method": METHODS["dm"], "init": "real"})
    assert real.name == "dm-10-real"
    assert "private" in real.label
    assert "private images" in real.what_leaves


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_builds_are_deterministic_and_colour_images_work(method):
    data = images(channels=3)
    one, two, other = (build(method, private=data, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(release_of(one).images, release_of(two).images)
    assert not np.array_equal(release_of(one).images, release_of(other).images)


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_a_class_that_is_too_small_is_named(method):
    with pytest.raises(DataError, match="class 'a' has 1 images in this build"):
        build(method, private=images(n=3))


@pytest.mark.parametrize(("method", "lr"), [("dm", 1e6), ("dsa", 1e6), ("mtt", 1e9)])
def test_divergence_is_named(method, lr):
    with pytest.raises(DataError, match="diverged"):
        build(method, method={**METHODS[method], "lr": lr, "iterations": 8})


# --- chosen subsets


def test_k_center_is_within_twice_of_the_best_by_brute_force():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(12, 2)).astype(np.float32)

    def radius(chosen):
        return max(min(np.linalg.norm(x - features[c]) for c in chosen) for x in features)

    best = min(radius(chosen) for chosen in itertools.combinations(range(12), 3))
    found = k_center(features, 3, first=0)
    assert found[0] == 0
    assert len(set(found.tolist())) == 3
    assert radius(found) <= 2 * best + 1e-6


def test_herding_takes_the_best_next_image_by_brute_force():
    features = np.random.default_rng(1).normal(size=(10, 3)).astype(np.float32)
    chosen = []
    for _ in range(4):
        left = [i for i in range(10) if i not in chosen]
        chosen.append(
            min(
                left,
                key=lambda i: np.linalg.norm(
                    features[[*chosen, i]].mean(axis=0) - features.mean(axis=0)
                ),
            )
        )
    assert herding(features, 4).tolist() == chosen


@pytest.mark.parametrize("method", ["k-center", "herding", "soft-labels"])
def test_chosen_images_are_real_and_of_every_class(method):
    data = images()
    route = parse_route(
        {
            "kind": "coreset",
            "method": method,
            "images_per_class": 2,
            "net": NET,
            "recipe": {"epochs": 2},
        }
    )
    made = make_route(route).build(data, BuildContext.of(data[:0], seed=0))
    release = release_of(made)
    pool = {image.tobytes(): label for image, label in zip(data.images, data.labels, strict=True)}
    assert sorted(pool[image.tobytes()] for image in release.images) == [0, 0, 1, 1, 2, 2]
    soft = ((release.soft_labels > 0) & (release.soft_labels < 1)).any()
    assert bool(soft) == (method == "soft-labels")
    assert (made.record.roles == Role.RELEASED).sum() == 6


def test_a_net_without_features_is_refused_for_dm_before_anything_is_built():
    """After three routes a worker's TypeError came as an escaped trace."""
    with pytest.raises(ConfigError, match="net 'mlp' has no features that DM could match"):
        parse_route({"kind": "distillation", "net": {"name": "mlp", "width": 8}})
    other = {"kind": "distillation", "method": {"name": "mtt"}, "net": {"name": "mlp", "width": 8}}
    assert parse_route(other).net.name == "mlp"
