"""Every route passes these: a new row in the registry is tested by being there."""

import json
from dataclasses import replace

import numpy as np
import pytest

import sudare.routes.context as context_module
from sudare.core.errors import ConfigError, DataError
from sudare.data.images import ImageDataset
from sudare.nets import NetConfig
from sudare.releases.store import read_release, write_release
from sudare.routes import ROUTES, make_route, parse_route
from sudare.routes.context import BuildContext, FolderStages
from sudare.training import Recipe

SMALL = {
    "net": NetConfig(name="mlp", width=8).model_dump(),
    "recipe": Recipe(epochs=2, batch_size=16, augmentation=()).model_dump(),
}
SETTINGS = {
    "plain": SMALL,
    "smoothing": {**SMALL, "alpha": -0.1},
    "dpsgd": {**SMALL, "privacy": {"target_epsilon": 8.0, "delta": 1e-3}},
    "coreset": {"method": "k-center", "images_per_class": 3},
    "distillation": {
        "method": {"name": "dm", "iterations": 2, "batch_real": 8},
        "images_per_class": 2,
        "net": NetConfig(name="convnet", width=4, depth=2).model_dump(),
    },
    "features": {
        "model": {"name": "cvae", "latent": 3, "hidden": 8, "epochs": 3},
        "extractor": {"name": "random-features", "size_px": 16},
    },
    "federation": {
        "net": SMALL["net"],
        "recipe": {"lr": 0.5, "momentum": 0.0, "augmentation": ()},
        "rate": 0.5,
        "clients": 3,
        "partition": "iid",
        "rounds": 2,
        "local_steps": 2,
        "privacy": {"target_epsilon": 8.0, "delta": 1e-3},
        "valuation": {"score": "vog"},
    },
    "synthesis": {
        **SMALL,
        "gan": {"steps": 2, "width": 4, "latent": 4, "snapshots": 2, "batch_size": 8},
        "selection": {"steps": 1, "seeds": 1, "sigmas": [1.0], "thresholds": [-1.0]},
    },
    "subset": {"images_per_class": 3},
    "linear-public": {
        "recipe": SMALL["recipe"],
        "net": NetConfig(name="random-features", width=4).model_dump(),
        "privacy": {"target_epsilon": 8.0, "delta": 1e-3},
    },
}
EVERY_ROUTE = sorted(ROUTES)


def images(n=48, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    return ImageDataset(
        images=rng.integers(0, 255, size=(n, 1, 8, 8), dtype=np.uint8),
        labels=(np.arange(n) % classes).astype(np.int64),
        class_names=tuple("abc"[:classes]),
        unit=np.arange(n),
        name="private",
    )


def build(kind, *, seed=0, private=None):
    data = images() if private is None else private
    route = make_route(parse_route({"kind": kind, **SETTINGS[kind]}))
    return route.build(data, BuildContext.of(data[:0], seed=seed))


def arrays(made):
    """Every tensor of every release."""
    return {
        f"{name}/{tensor}": value.numpy()
        for name, release in made.releases.items()
        for tensor, value in release.tensors().items()
    }


def test_every_route_has_a_configuration_and_a_test_setting():
    assert set(ROUTES) == set(SETTINGS)


@pytest.mark.parametrize("kind", EVERY_ROUTE)
def test_a_build_is_deterministic_under_its_seed(kind):
    one, two, other = (arrays(build(kind, seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", EVERY_ROUTE)
def test_what_leaves_has_no_seed_that_could_repeat_it(kind):
    one, two = (arrays(build(kind, seed=None)) for _ in range(2))
    assert any(not np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("kind", EVERY_ROUTE)
def test_a_release_survives_writing_and_holds_nothing_of_the_private_run(kind, tmp_path):
    private, seed = images(), 1_234_567_891
    made = build(kind, seed=seed, private=private)
    for release_name, release in made.releases.items():
        folder = tmp_path / release_name
        write_release(release, folder)
        again = read_release(folder)
        for name, value in release.tensors().items():
            assert np.array_equal(again.tensors()[name].numpy(), value.numpy())
        text = (folder / "release.json").read_text() + (folder / "README.md").read_text()
        assert str(seed) not in text
        assert private.content_hash not in text
        assert "seed" not in json.loads((folder / "release.json").read_text())["settings"]


@pytest.mark.parametrize("kind", EVERY_ROUTE)
def test_the_record_gives_every_private_image_a_role(kind):
    made = build(kind)
    assert made.record.roles.shape == (48,)
    assert (made.record.roles > 0).any()


@pytest.mark.parametrize("kind", EVERY_ROUTE)
def test_bad_input_is_refused_before_work_starts(kind):
    with pytest.raises(DataError, match="empty"):
        build(kind, private=images()[:0])
    multi = images()
    multi = ImageDataset(
        images=multi.images,
        labels=np.eye(3, dtype=bool)[multi.labels],
        class_names=multi.class_names,
        unit=multi.unit,
    )
    with pytest.raises(DataError, match="several labels"):
        build(kind, private=multi)


@pytest.mark.parametrize("kind", EVERY_ROUTE)
def test_names_labels_and_sentences_are_there(kind):
    config = parse_route({"kind": kind, **SETTINGS[kind]})
    assert config.name
    assert config.label
    assert config.releases
    for release in config.releases:
        assert release.name
        assert release.label
        assert release.what_leaves.endswith(".")


@pytest.mark.parametrize("builds", [3, 5, 2])
def test_builds_of_a_route_come_in_pairs(builds):
    with pytest.raises(ConfigError):
        parse_route({"kind": "subset", "builds": builds})


def test_a_route_that_emits_what_it_did_not_plan_is_refused():
    config = parse_route({"kind": "subset", **SETTINGS["subset"]})
    route = make_route(config)
    made = route._build(images(), BuildContext.of(images()[:0], seed=0))
    route._build = lambda private, context: replace(made, releases={"other": None})
    with pytest.raises(ConfigError, match="planned subset-3 and emitted other"):
        route.build(images(), BuildContext.of(images()[:0], seed=0))


def test_a_stage_is_made_once_and_whole(tmp_path):
    stages, calls = FolderStages(tmp_path, {"private": "x"}), []

    def make(folder):
        calls.append(folder)
        (folder / "expert.txt").write_text("weights")

    first, again = (stages.get("expert", {"epochs": 3}, make) for _ in range(2))
    assert first == again
    assert (first / "expert.txt").read_text() == "weights"
    assert len(calls) == 1
    stages.get("expert", {"epochs": 4}, make)
    FolderStages(tmp_path, {"private": "y"}).get("expert", {"epochs": 3}, make)
    assert len(calls) == 3

    def killed(folder):
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.get("generator", {}, killed)
    whole = stages.get("generator", {}, make)
    assert not (whole / "half.txt").exists()


def test_stages_that_were_there_count_with_what_they_took_once(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(context_module.time, "process_time", lambda: clock[0])
    monkeypatch.setattr(context_module.time, "perf_counter", lambda: 3 * clock[0])

    def ask(stages, *, stop=False):
        def inner(folder):
            clock[0] += 2

        def outer(folder):
            stages.get("inner", {}, inner)
            if stop:
                raise KeyboardInterrupt
            clock[0] += 5

        stages.get("outer", {}, outer)

    with pytest.raises(KeyboardInterrupt):
        ask(FolderStages(tmp_path), stop=True)
    resumed = FolderStages(tmp_path)
    ask(resumed)
    assert (resumed.spared_cpu_s, resumed.spared_wall_s) == (2, 6)
    ask(resumed)
    assert resumed.spared_cpu_s == 2, "what this build made or counted is not counted again"
    other = FolderStages(tmp_path)
    ask(other)
    assert (other.spared_cpu_s, other.spared_wall_s) == (7, 21)


@pytest.mark.parametrize("kind", ["subset", "plain"])
def test_a_build_costs_what_it_would_if_no_stage_had_been_there(kind, tmp_path):
    stages = FolderStages(tmp_path)
    stages.spared_cpu_s, stages.spared_wall_s = 1e6, 2e6
    context = BuildContext.of(images()[:0], seed=0, stages=stages)
    made = make_route(parse_route({"kind": kind, **SETTINGS[kind]})).build(images(), context)
    assert 1e6 <= made.record.cpu_s < 1.1e6
    assert 2e6 <= made.record.wall_s < 2.1e6


def test_the_subset_releases_real_images_and_nothing_else():
    data = images()
    made = build("subset", private=data)
    (release,) = made.releases.values()
    pool = {image.tobytes() for image in data.images}
    assert all(image.tobytes() in pool for image in release.images)
    assert release.soft_labels.sum(axis=0).tolist() == [3, 3, 3]


def test_the_subset_says_when_a_class_is_too_small():
    with pytest.raises(DataError, match="class 'a' has 2 images in this build, 3 are wanted"):
        build("subset", private=images(n=6))


def test_a_subset_drawn_from_all_keeps_about_the_shares_of_classes():
    data = images()
    uneven = data[np.r_[np.flatnonzero(data.classes == 0), np.flatnonzero(data.classes != 0)[:6]]]
    config = parse_route({"kind": "subset", "images_per_class": 5, "classes": "shares"})
    counts = []
    for seed in range(40):
        context = BuildContext.of(uneven[:0], seed=seed)
        release = make_route(config).build(uneven, context).releases["subset-5-shares"]
        assert len(np.unique(release.images.reshape(15, -1), axis=0)) == 15
        counts.append(release.soft_labels.sum(axis=0))
    shares = np.bincount(uneven.classes, minlength=3) / len(uneven)
    assert np.mean(counts, axis=0) == pytest.approx(15 * shares, abs=0.7)


def test_a_subset_larger_than_the_collection_is_refused():
    config = parse_route({"kind": "subset", "images_per_class": 5, "classes": "shares"})
    with pytest.raises(DataError, match="the collection has 9 images in this build, 15 are wanted"):
        make_route(config).build(images(n=9), BuildContext.of(images(n=9)[:0], seed=0))


def test_a_dp_card_carries_the_ledger_and_the_guarantee():
    (release,) = build("dpsgd").releases.values()
    assert release.card.ledger[0].epsilon <= 8.0
    assert release.card.guarantee.startswith("(")
    assert "differential privacy" in release.card.guarantee


def test_route_errors_name_the_field():
    with pytest.raises(ConfigError, match=r"routes\.smoothing\.alpha"):
        parse_route({"kind": "smoothing", "alpha": 2.0})
    with pytest.raises(ConfigError, match="no route called 'magic'"):
        parse_route({"kind": "magic"})
    with pytest.raises(ConfigError, match="not both"):
        parse_route({"kind": "dpsgd", "privacy": {"target_epsilon": 1.0, "noise_multiplier": 1.0}})


@pytest.mark.parametrize(
    ("own", "of_recipe", "used"),
    [(None, None, "paper"), (None, "none", "none"), ("linear", "none", "linear")],
)
def test_a_schedule_of_the_recipe_counts_where_the_route_names_none(own, of_recipe, used):
    recipe = {} if of_recipe is None else {"smoothing_schedule": of_recipe}
    given = {"kind": "smoothing", "alpha": -0.2, "recipe": recipe}
    config = parse_route(given if own is None else {**given, "schedule": own})
    assert config.trained_by.smoothing_schedule == used
