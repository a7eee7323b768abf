"""Synthesis against independent oracles: closed forms, a generator with known output, spies."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sudare.core.errors import DataError, ReleaseError
from sudare.core.progress import Silent
from sudare.data.images import ImageDataset
from sudare.nets.generator import Generator
from sudare.nets.normalisation import normalise
from sudare.releases.store import read_release, write_release
from sudare.routes import make_route, parse_route
from sudare.routes.base import Role
from sudare.routes.context import BuildContext, FolderStages, PassingStages
from sudare.routes.synthesis.build import SynthesisRoute, hold_out
from sudare.routes.synthesis.config import GanConfig, GkdConfig, SelectionConfig
from sudare.routes.synthesis.gan import (
    Discriminator,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    snapshot_steps,
    train_gan,
)
from sudare.routes.synthesis.gkd import draw_images, gkd_loss, soft_targets
from sudare.routes.synthesis.selection import Setting, select, successive_halving

SETTINGS = {
    "net": {"name": "mlp", "width": 8},
    "recipe": {"epochs": 2, "batch_size": 16, "augmentation": []},
    "gan": {"steps": 4, "width": 4, "latent": 4, "snapshots": 2, "batch_size": 8},
    "selection": {"steps": 2, "seeds": 1, "sigmas": [1.0, 1.5], "thresholds": [-1.0, 0.0]},
}


def images(n=60, side=12, classes=3, channels=1, seed=0, units=None):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    pixels = rng.integers(0, 120, size=(n, channels, side, side)) + 60 * labels[:, None, None, None]
    return ImageDataset(
        images=pixels.astype(np.uint8),
        labels=labels.astype(np.int64),
        class_names=tuple("abc"[:classes]),
        unit=np.arange(n) if units is None else units,
        name="private",
    )


def build(*, private=None, seed=0, stages=None, **settings):
    data = images() if private is None else private
    route = make_route(parse_route({"kind": "synthesis", **SETTINGS, **settings}))
    return route.build(data, BuildContext.of(data[:0], seed=seed, stages=stages))


def scalar_discriminator(weights):
    """A discriminator whose gradient by every image is known."""

    class Linear(nn.Module):
        def forward(self, pixels, labels):
            return (pixels * weights).flatten(1).sum(dim=1)

    return Linear()


# --- the GAN


def test_losses_are_their_closed_forms():
    real, fake = torch.tensor([0.3, -1.0]), torch.tensor([1.1, 0.2])
    expected = np.mean([math.log1p(math.exp(f - r)) for r, f in zip(real, fake, strict=True)])
    other = np.mean([math.log1p(math.exp(r - f)) for r, f in zip(real, fake, strict=True)])
    assert float(discriminator_loss(real, fake)) == pytest.approx(expected)
    assert float(generator_loss(real, fake)) == pytest.approx(other)
    assert float(discriminator_loss(real, real)) == pytest.approx(math.log(2))


def test_the_penalty_of_a_linear_discriminator_is_half_its_squared_norm():
    weights = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(0))
    pixels, labels = torch.randn(5, 1, 3, 3), torch.zeros(5, dtype=torch.long)
    found = gradient_penalty(scalar_discriminator(weights), pixels, labels)
    assert float(found) == pytest.approx(float((weights**2).sum()) / 2, rel=1e-5)


def test_the_projection_is_linear_in_the_embedding_of_the_class():
    torch.manual_seed(0)
    net = Discriminator((1, 12, 12), 3, width=4)
    pixels = torch.randn(4, 1, 12, 12)
    first, second = (net(pixels, torch.full((4,), label)) for label in (0, 1))
    with torch.no_grad():
        net.embedding.weight[1] = net.embedding.weight[0]
    assert not torch.allclose(first, second)
    assert torch.equal(net(pixels, torch.ones(4, dtype=torch.long)), first)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 64, 64), (3, 30, 22)])
def test_both_nets_take_every_shape(shape):
    labels = torch.tensor([0, 1])
    made = Generator(shape, 2, latent=8, width=4)(torch.randn(2, 8), labels)
    assert made.shape == (2, *shape)
    assert float(made.detach().abs().max()) <= 2
    assert Discriminator(shape, 2, width=4)(made, labels).shape == (2,)


def test_snapshots_are_log_spaced_and_end_with_the_last_step():
    assert snapshot_steps(1000, 4) == [125, 250, 500, 1000]
    assert snapshot_steps(2, 8) == [1, 2]


def trained(stages, steps=4, **settings):
    data = images()
    config = GanConfig(**{**SETTINGS["gan"], "steps": steps, **settings})
    pixels = normalise(torch.from_numpy(np.array(data.images)))
    labels = torch.from_numpy(np.array(data.classes))
    return train_gan(pixels, labels, 3, config, seed=7, stages=stages, progress=Silent())


def test_a_generator_that_was_stopped_between_snapshots_ends_the_same(tmp_path):
    class Dies(FolderStages):
        def get(self, name, key, make):
            if key["until"] == 4:
                raise KeyboardInterrupt
            return super().get(name, key, make)

    whole = trained(PassingStages())
    with pytest.raises(KeyboardInterrupt):
        trained(Dies(tmp_path))
    again = trained(FolderStages(tmp_path))
    assert [snapshot.step for snapshot in again] == [2, 4]
    for one, other in zip(whole, again, strict=True):
        for name, value in one.generator.state_dict().items():
            assert torch.equal(value, other.generator.state_dict()[name])


def test_divergence_before_the_first_snapshot_is_an_error_that_says_what_to_do():
    with pytest.raises(DataError, match="diverged"):
        trained(PassingStages(), lr=1e30)


def test_collapse_is_named_and_the_run_goes_on(monkeypatch):
    import sudare.routes.synthesis.gan as module

    class Stuck(Generator):
        """Makes one image whatever the latent."""

        def forward(self, latent, labels):
            return super().forward(torch.zeros_like(latent), labels)

    monkeypatch.setattr(module, "Generator", Stuck)
    found = trained(PassingStages())
    assert [snapshot.step for snapshot in found] == [2, 4]
    assert all(snapshot.note == "collapsed: spread 0.00 of the real" for snapshot in found)


def test_a_trained_generator_makes_each_class_as_bright_as_it_is():
    data = images(n=240)
    pixels = normalise(torch.from_numpy(np.array(data.images)))
    labels = torch.from_numpy(np.array(data.classes))
    config = GanConfig(steps=120, width=8, latent=8, snapshots=1, batch_size=32, augment=False)
    (last,) = train_gan(
        pixels, labels, 3, config, seed=0, stages=PassingStages(), progress=Silent()
    )
    made = last.generator(torch.randn(240, 8), labels)
    levels = [float(made[labels == label].detach().mean()) for label in range(3)]
    real = [float(pixels[labels == label].mean()) for label in range(3)]
    assert levels == pytest.approx(real, abs=0.25)


# --- filter, spread and targets, on a generator with known output


class SaysBrightness(nn.Module):
    """Answers class 1 for bright images, surer the brighter."""

    def forward(self, pixels):
        level = pixels.mean(dim=(1, 2, 3))
        return torch.stack([-3 * level, 3 * level], dim=1)


def as_bright_as_its_latent(latent, labels):
    return latent[:, :1, None, None].expand(-1, 1, 2, 2)


def drawn(threshold, *, sigma=1.0, count=4000, make=as_bright_as_its_latent):
    labels = torch.arange(count) % 2
    return draw_images(
        make, labels, SaysBrightness(), latent=1, sigma=sigma, threshold=threshold, classes=2,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


def levels(found):
    return normalise(found.images).mean(dim=(1, 2, 3))


def test_without_a_filter_all_draws_are_taken():
    found = drawn(-1.0)
    assert found.accepted == (1.0, 1.0)
    assert float(levels(found).mean()) == pytest.approx(0, abs=0.05)


def test_the_spread_of_images_is_sigma_times_that_of_the_latent():
    narrow, wide = (float(levels(drawn(-1.0, sigma=s)).std()) for s in (0.25, 0.5))
    assert narrow == pytest.approx(0.25, rel=0.05)
    assert wide == pytest.approx(0.5, rel=0.05)


def test_the_filter_takes_half_of_symmetric_draws_and_keeps_the_classes():
    found = drawn(0.0)
    assert np.bincount(found.labels) == pytest.approx([2000, 2000])
    assert found.accepted == pytest.approx((0.5, 0.5), abs=0.05)
    right = (levels(found) > 0) == found.labels.bool()
    assert float(right.float().mean()) > 0.995


def test_a_threshold_keeps_only_what_the_teacher_is_so_sure_of():
    found = drawn(0.9)
    # A logit difference of 6 x is 0.9 at x = ln(9) / 6; a standard normal is above with p.
    edge = math.log(9) / 6
    share = 0.5 * math.erfc(edge / math.sqrt(2))
    assert found.accepted == pytest.approx((share, share), abs=0.05)
    sure = SaysBrightness()(normalise(found.images)).softmax(dim=1)
    kept = sure.gather(1, found.labels[:, None])[:, 0] >= 0.9
    # Ten draws miss with (1 - share)^10; then the surest of them stays.
    assert float(kept.float().mean()) == pytest.approx(1 - (1 - share) ** 10, abs=0.02)


def test_a_class_the_generator_cannot_make_is_seen_in_the_acceptance_and_still_filled():
    found = drawn(0.0, make=lambda latent, labels: torch.full((len(latent), 1, 2, 2), 1.0))
    assert found.accepted == (0.0, 1.0)
    assert len(found.images) == 4000


def test_targets_and_loss_of_each_kind_by_hand():
    teacher, student = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.5, -0.5]])
    labels, p = torch.tensor([1]), 1 / (1 + math.exp(-2))
    tckr = 0.9 * p + 0.05
    assert soft_targets(teacher, labels, GkdConfig())[0, 0] == pytest.approx(tckr)
    q = math.log(1 / (1 + math.exp(-1)))
    expected = -(tckr * q + (1 - tckr) * (q - 1))
    assert float(gkd_loss(student, teacher, labels, GkdConfig())) == pytest.approx(expected)
    hard = GkdConfig(targets="hard")
    assert soft_targets(teacher, labels, hard).tolist() == [[0.0, 1.0]]
    assert float(gkd_loss(student, teacher, labels, hard)) == pytest.approx(1 - q)
    mixed = GkdConfig(targets="mixture", temperature=2.0, hard_share=0.25)
    warm, s = 1 / (1 + math.exp(-1)), math.log(1 / (1 + math.exp(-0.5)))
    soft = -(warm * s + (1 - warm) * (s - 0.5))
    expected = 0.25 * (1 - q) + 0.75 * 4 * soft
    assert float(gkd_loss(student, teacher, labels, mixed)) == pytest.approx(expected, rel=1e-5)


# --- the choice


def test_halving_finds_the_best_and_gives_the_better_half_twice_the_steps():
    asked = []

    def score(candidate, steps, repeat):
        asked.append((candidate, steps, repeat))
        return [0.1, 0.9, 0.5, 0.8][candidate]

    best, scores = successive_halving(4, score, steps=100, seeds=3)
    assert best == 1
    assert scores == [0.1, pytest.approx(0.9), 0.5, pytest.approx(0.8)]
    assert asked[:4] == [(c, 50, 0) for c in range(4)]
    assert sorted(asked[4:]) == [(c, 100, r) for c in (1, 3) for r in range(3)]


def test_of_equal_generators_the_earlier_is_taken():
    assert successive_halving(5, lambda *_: 0.5, steps=8, seeds=1)[0] == 0


def test_the_choice_goes_from_generator_to_spread_to_filter():
    def teach(setting, steps, repeat):
        return -abs(setting.snapshot - 2) - abs(setting.sigma - 1.25) - abs(setting.threshold)

    config = SelectionConfig(sigmas=(1.0, 1.25), thresholds=(-1.0, 0.0, 0.9))
    found, choices = select(list("abcd"), [""] * 4, teach, config, Silent())
    assert found == Setting(snapshot=2, sigma=1.25, threshold=0.0)
    assert [choice.what for choice in choices] == ["generator", "sigma", "filter"]
    assert choices[0].options[choices[0].chosen] == "c"


def test_whole_units_are_held_out_of_each_class():
    units = np.repeat(np.arange(20), 3)
    data = images(units=units)
    # Units are pure here: every third image is of another class, so classes are by unit.
    data = ImageDataset(
        images=data.images, labels=(units % 2).astype(np.int64), class_names=("a", "b"),
        unit=units, name="private",
    )  # fmt: skip
    held = hold_out(data, 0.2, seed=3)
    assert held.sum() == 12
    assert not set(units[held]) & set(units[~held])
    assert [int((held & (data.labels == label)).sum()) for label in (0, 1)] == [6, 6]


def test_a_class_of_one_unit_stays_for_learning():
    data = images(n=7, classes=3)
    held = hold_out(data, 0.5, seed=0)
    assert set(np.unique(data.labels[~held])) == {0, 1, 2}


def test_students_are_chosen_on_held_out_private_images_only(monkeypatch):
    """A spy on every image that a net is asked about: no test or public image is among them."""
    import sudare.routes.synthesis.build as module

    data, asked = images(), []
    seen = {image.tobytes() for image in data.images}
    real = module.predict

    def spy(net, pixels, *, device):
        asked.append(np.array(pixels))
        return real(net, pixels, device=device)

    monkeypatch.setattr(module, "predict", spy)
    public = images(seed=9)
    route = make_route(parse_route({"kind": "synthesis", **SETTINGS}))
    made = route.build(data, BuildContext.of(public, seed=0))
    held = {image.tobytes() for image in data.images[made.record.roles == Role.VALIDATION]}
    for_choice = [batch for batch in asked if batch.tobytes() and batch[0].tobytes() in seen]
    assert for_choice
    assert all({image.tobytes() for image in batch} == held for batch in for_choice)
    others = {image.tobytes() for image in public.images}
    assert not others & {image.tobytes() for batch in asked for image in batch}


def test_nothing_learns_from_what_is_held_out(monkeypatch):
    import sudare.routes.synthesis.build as module

    data, learnt = images(), []
    real_train, real_gan = module.train, module.train_gan

    def train(net, given, *rest, **named):
        learnt.append(given.images)
        return real_train(net, given, *rest, **named)

    def train_gan(pixels, *rest, **named):
        learnt.append(pixels)
        return real_gan(pixels, *rest, **named)

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "train_gan", train_gan)
    route = SynthesisRoute(parse_route({"kind": "synthesis", **SETTINGS}))
    made = route.build(data, BuildContext.of(data[:0], seed=0))
    count = int((made.record.roles == Role.TRAIN).sum())
    assert [len(part) for part in learnt] == [count, count]


# --- what a build gives


def test_a_build_gives_a_set_and_a_student_with_their_recipe_and_acceptance(tmp_path):
    made = build()
    assert set(made.releases) == {"synthesis", "synthesis-student"}
    for name, release in made.releases.items():
        write_release(release, tmp_path / name)
        again = read_release(tmp_path / name)
        assert [s.status for s in again.card.statistics] == ["leak"] * 5
    images_of, student = made.releases["synthesis"], made.releases["synthesis-student"]
    assert len(images_of.images) == 60
    assert np.bincount(images_of.soft_labels.argmax(axis=1), minlength=3).sum() == 60
    assert images_of.training_set().recipe["steps"] == 2 * math.ceil(60 / 16)
    assert student.card.kind == "classifier"
    assert {choice.what for choice in made.record.choices} == {"generator", "sigma", "filter"}
    assert set(made.record.pictures) == {"generator-0", "generator-1"}


def test_what_is_asked_for_beside_is_built_from_the_same_stages(tmp_path):
    stages = FolderStages(tmp_path)
    alone = build(stages=stages)
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    more = build(stages=stages, beside=["teacher", "hard-student", "last"])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == made
    assert set(more.releases) - set(alone.releases) == {
        "synthesis-teacher", "synthesis-hard-student", "synthesis-last",
    }  # fmt: skip
    assert np.array_equal(more.releases["synthesis"].images, alone.releases["synthesis"].images)


def test_the_generator_leaves_only_on_request_and_draws_without_the_teacher(tmp_path):
    assert not any("generator" in name for name in build().releases)
    made = build(beside=["generator"])
    write_release(made.releases["synthesis-generator"], tmp_path / "generator")
    release = read_release(tmp_path / "generator")
    training_set = release.training_set()
    assert training_set.images.shape == (60, 1, 12, 12)
    assert training_set.soft_labels.sum(axis=0).tolist() == [20, 20, 20]
    assert np.array_equal(training_set.images, release.training_set().images)
    pixels, labels = release.pictures()
    assert len(pixels) == len(labels)
    assert "weights of the generator" in {s.name for s in release.card.statistics}


@pytest.mark.parametrize("odd", [{"width": 8}, {"sigma": 0.0}])
def test_a_generator_that_does_not_fit_its_card_is_refused(odd, tmp_path):
    made = build(beside=["generator"])
    write_release(made.releases["synthesis-generator"], tmp_path / "generator")
    path = tmp_path / "generator" / "release.json"
    card = json.loads(path.read_text())
    card["spec"] |= odd
    path.write_text(json.dumps(card))
    with pytest.raises(ReleaseError):
        read_release(tmp_path / "generator")


def test_the_set_is_as_large_as_asked_for():
    made = build(gkd={"cardinality": 0.5})
    (name,) = (n for n in made.releases if not n.endswith("student"))
    assert name == "synthesis-0.5x"
    assert len(made.releases[name].images) == 30


def test_a_class_the_generator_failed_at_is_named_at_once_and_on_the_card(monkeypatch):
    import sudare.routes.synthesis.build as module

    real, said = module.draw_images, []

    class Spoken(Silent):
        def say(self, text):
            said.append(text)

    monkeypatch.setattr(
        module, "draw_images", lambda *a, **k: replace(real(*a, **k), accepted=(0.9, 0.04, 1.0))
    )
    data = images()
    route = make_route(parse_route({"kind": "synthesis", **SETTINGS}))
    made = route.build(data, BuildContext.of(data[:0], seed=0, progress=Spoken()))
    (line,) = said
    assert "failed at b: the teacher sees that class in less than 5 % of its images" in line
    told = {s.name: s.value for s in made.releases["synthesis"].card.statistics}
    assert told["classes the generator failed at"] == "b"


def test_a_trial_draws_no_more_than_its_steps_can_see(monkeypatch):
    """Of a large collection's set, the rest would be drawn for nobody."""
    import sudare.routes.synthesis.build as module

    data, drawn, trials = images(), [], []
    real_draw, real_train = module.draw_images, module.train_student

    def draw_images(make, labels, *rest, **named):
        drawn.append(len(labels))
        return real_draw(make, labels, *rest, **named)

    def train_student(*rest, steps, **named):
        before = len(drawn)
        real_train(*rest, steps=steps, **named)
        trials.append((steps, drawn[before:]))

    monkeypatch.setattr(module, "draw_images", draw_images)
    monkeypatch.setattr(module, "train_student", train_student)
    build(private=data, recipe={"batch_size": 8, "epochs": 1}, gkd={"regenerate": 1})
    assert any(steps is not None and steps * 8 < len(data) for steps, _ in trials)
    for steps, counts in trials:
        assert counts[0] == min(len(data), len(data) if steps is None else 8 * steps)


def test_classes_are_generated_in_their_shares_or_alike():
    data = images()
    uneven = data[np.r_[np.flatnonzero(data.classes == 0), np.flatnonzero(data.classes != 0)[:20]]]
    for classes, wanted in (("shares", None), ("equal", len(uneven) / uneven.n_classes)):
        made = build(private=uneven, gkd={"targets": "hard", "classes": classes})
        released = made.releases["synthesis-hard" if wanted is None else "synthesis-hard-equal"]
        counts = released.soft_labels.sum(axis=0)
        own = np.bincount(uneven.classes) if wanted is None else np.full(uneven.n_classes, wanted)
        assert np.abs(counts - own).max() <= 2
        told = {statistic.name for statistic in released.card.statistics}
        assert ("classes' shares and number" in told) == (wanted is None)


def test_colour_images_and_hard_labels():
    made = build(private=images(channels=3), gkd={"targets": "hard"})
    assert made.releases["synthesis-hard"].images.shape == (60, 3, 12, 12)
    assert set(np.unique(made.releases["synthesis-hard"].soft_labels)) == {0.0, 1.0}


@pytest.mark.parametrize(
    "settings",
    [{"selection": {"sigmas": [0.0]}}, {"selection": {"thresholds": [1.0]}}, {"gan": {"ema": 1.0}}],
)
def test_settings_without_meaning_are_refused(settings):
    with pytest.raises(Exception, match=r"greater|spread|between|less"):
        parse_route({"kind": "synthesis", **settings})
