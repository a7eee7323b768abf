"""Several builds at once: what comes out is what each gives alone."""

import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sudare.core.errors import DataError
from sudare.core.progress import Silent
from sudare.data.plan import draw_plan
from sudare.fleets.builds import KERNELS, BuildPlan, build_jobs, make_deterministic
from sudare.fleets.cache import Cache
from sudare.fleets.lanes import LanesJob, in_lanes
from sudare.fleets.local import LocalExecutor
from sudare.nets import NetConfig, build
from sudare.routes import parse_route
from sudare.routes.classifiers.build import ClassifierRoute
from sudare.training.loop import Learner, TrainingData, train, train_lanes
from sudare.training.recipe import Recipe
from tests.routes.test_conformance import SETTINGS, images

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
RECIPES = {
    "views": Recipe(epochs=4, batch_size=16, augmentation=("flip", "shift", "cutout")),
    "adam": Recipe(epochs=4, batch_size=16, optimizer="adam", lr=0.01, augmentation=()),
    "sharpened": Recipe(epochs=8, batch_size=16, label_smoothing=-0.2, augmentation=()),
    "steps": Recipe(epochs=4, steps=10, batch_size=16, augmentation=("flip",)),
    "weighed": Recipe(epochs=4, batch_size=16, balance="loss", augmentation=()),
    "drawn": Recipe(epochs=4, batch_size=16, balance="sampling", augmentation=()),
    "adversarial": Recipe(epochs=3, batch_size=16, adversarial=8.0, augmentation=()),
    "dsa": Recipe(epochs=3, batch_size=16, augmentation=("dsa",)),
}


@pytest.fixture(autouse=True)
def as_in_a_worker(request):
    """Kernels whose result depends on scheduling are not equal to themselves."""
    before = torch.are_deterministic_algorithms_enabled()
    mode = torch.is_deterministic_algorithms_warn_only_enabled()
    if request.node.get_closest_marker("cuda"):
        make_deterministic("cuda")
    yield
    torch.use_deterministic_algorithms(before, warn_only=mode)


def learner(seed, device, n=40, net="convnet"):
    data = images(n=n, seed=seed)
    config = NetConfig(name=net, width=4, depth=2 if net == "convnet" else None)
    made = build(config, image_shape=(1, 8, 8), n_classes=3, seed=seed).to(device)
    return Learner(
        net=made, data=TrainingData.of(data.images, data.classes, device=device), seed=seed
    )


def alone(one, recipe):
    return train(one.net, one.data, recipe, seed=one.seed, progress=Silent())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", RECIPES)
def test_nets_that_learn_at_once_learn_what_each_learns_alone(name, device):
    recipe = RECIPES[name]
    together = [learner(seed, device) for seed in range(3)]
    records = train_lanes(together, recipe, progress=Silent())
    for seed, (lane, record) in enumerate(zip(together, records, strict=True)):
        single = learner(seed, device)
        other = alone(single, recipe)
        for a, b in zip(lane.net.parameters(), single.net.parameters(), strict=True):
            assert torch.equal(a, b)
        np.testing.assert_array_equal(record.loss_trace, other.loss_trace)
        assert record.steps == other.steps
    first, second = (list(lane.net.parameters())[-1] for lane in together[:2])
    assert not torch.equal(first, second)


def test_each_lane_says_when_an_epoch_is_over():
    together, said = [learner(seed, "cpu") for seed in range(2)], []
    train_lanes(
        together,
        Recipe(epochs=2, batch_size=16),
        progress=Silent(),
        after_epoch=lambda lane, epoch, net: said.append((lane, epoch, net)),
    )
    assert [(lane, epoch) for lane, epoch, _ in said] == [(0, 1), (1, 1), (0, 2), (1, 2)]
    assert all(net is together[lane].net for lane, _, net in said)


def test_nets_with_unequal_numbers_of_images_cannot_learn_at_once():
    with pytest.raises(DataError, match=r"equally many images, not \[32, 40\]"):
        train_lanes([learner(0, "cpu"), learner(1, "cpu", n=32)], Recipe(), progress=Silent())


def test_seconds_are_shared_among_the_lanes(monkeypatch):
    ticks = {"perf_counter": iter([10.0, 16.0]), "process_time": iter([1.0, 5.0])}
    clock = SimpleNamespace(**{name: partial(next, told) for name, told in ticks.items()})
    monkeypatch.setattr("sudare.training.loop.time", clock)
    two = train_lanes([learner(s, "cpu") for s in range(2)], Recipe(epochs=1), progress=Silent())
    assert [(record.wall_s, record.cpu_s) for record in two] == [(3.0, 2.0), (3.0, 2.0)]


def planned(tmp_path, kind="plain", device="cpu", n=48):
    data, route = images(n=n), parse_route({"kind": kind, **SETTINGS[kind]})
    cache = Cache(tmp_path)
    plan = BuildPlan(
        pool=data,
        public=data[:0],
        membership=draw_plan(data.unit, data.classes, builds=6, seed=0).membership,
        seed=0,
        device=device,
        threads=1,
    )
    return route, cache, build_jobs(plan, route, cache)


@pytest.mark.parametrize("n", [48, 47])
def test_entries_made_at_once_are_those_made_alone(tmp_path, n):
    _, apart, tasks = planned(tmp_path / "apart", n=n)
    with LocalExecutor(apart, workers=1) as executor:
        executor.run([(task,) for task in tasks], progress=Silent(), label="")
    _, together, again = planned(tmp_path / "together", n=n)
    assert [task.key for task in again] == [task.key for task in tasks]
    with LocalExecutor(together, workers=1) as executor:
        executor.run([(LanesJob(builds=tuple(again)),)], progress=Silent(), label="")
    assert together.complete([task.key for task in again], Silent())
    for task in tasks:
        here, there = apart.path(task.key), together.path(task.key)
        names = {path.relative_to(here) for path in here.rglob("*") if path.is_file()}
        assert names == {path.relative_to(there) for path in there.rglob("*") if path.is_file()}
        model = "releases/plain/tensors.safetensors"
        assert (here / model).read_bytes() == (there / model).read_bytes()
        with np.load(here / "record.npz") as a, np.load(there / "record.npz") as b:
            for name in a.files:
                np.testing.assert_array_equal(a[name], b[name])


def test_a_group_that_was_cut_off_makes_only_what_is_missing(tmp_path):
    _, cache, tasks = planned(tmp_path)
    first, rest = tasks[:2], tasks[:4]
    (tmp_path / "x").mkdir()
    LanesJob(builds=tuple(first)).run(tmp_path / "x", cache, Silent())
    before = {t.key: (cache.path(t.key) / "costs.json").stat().st_mtime_ns for t in first}
    LanesJob(builds=tuple(rest)).run(tmp_path / "x", cache, Silent())
    assert all(cache.has(task.key) for task in rest)
    for key, made in before.items():
        assert (cache.path(key) / "costs.json").stat().st_mtime_ns == made


def test_kernels_that_lack_determinism_are_written_down_for_each_build(tmp_path, monkeypatch):
    _, cache, tasks = planned(tmp_path)
    built = ClassifierRoute.build_many

    def warning(self, privates, contexts):
        warnings.warn("foo_cuda does not have a deterministic implementation", stacklevel=1)
        return built(self, privates, contexts)

    monkeypatch.setattr(ClassifierRoute, "build_many", warning)
    (tmp_path / "x").mkdir()
    LanesJob(builds=tuple(tasks[:2])).run(tmp_path / "x", cache, Silent())
    assert all("foo_cuda" in (cache.path(t.key) / KERNELS).read_text() for t in tasks[:2])


def test_a_group_that_does_not_fit_is_built_half_after_half(tmp_path, monkeypatch):
    _, cache, tasks = planned(tmp_path)
    built, sizes = ClassifierRoute.build_many, []

    def cramped(self, privates, contexts):
        sizes.append(len(privates))
        if len(privates) > room:
            raise torch.OutOfMemoryError("no room")
        return built(self, privates, contexts)

    monkeypatch.setattr(ClassifierRoute, "build_many", cramped)
    (tmp_path / "x").mkdir()
    room = 2
    LanesJob(builds=tuple(tasks[:5])).run(tmp_path / "x", cache, Silent())
    assert sizes == [5, 2, 3, 1, 2]
    assert all(cache.has(task.key) for task in tasks[:5])
    room = 0
    with pytest.raises(torch.OutOfMemoryError):
        LanesJob(builds=tuple(tasks[5:])).run(tmp_path / "x", cache, Silent())


def test_groups_are_as_large_as_asked_for_and_only_on_a_gpu(tmp_path):
    route, cache, tasks = planned(tmp_path, device="cuda")
    chains = in_lanes(tasks, route, cache, device="cuda", lanes=4)
    assert [len(chain[0].builds) for chain in chains] == [4, 2]
    assert in_lanes(tasks, route, cache, device="cpu", lanes=4) == []
    assert in_lanes(tasks, route, cache, device="cuda", lanes=1) == []


@pytest.mark.parametrize(
    ("kind", "gains"), [("plain", True), ("smoothing", True), ("dpsgd", False), ("subset", False)]
)
def test_routes_say_whether_they_gain(kind, gains):
    assert parse_route({"kind": kind, **SETTINGS[kind]}).lanes is gains


@pytest.mark.cuda
def test_a_step_that_cannot_be_recorded_goes_on_as_it_is(monkeypatch):
    one, two = learner(0, "cuda"), learner(0, "cuda")
    recipe = Recipe(epochs=3, batch_size=16, augmentation=("flip",))
    forward = type(one.net).forward

    def asking(self, given):
        assert given.abs().max().item() < 100
        return forward(self, given)

    alone(one, recipe)
    monkeypatch.setattr(type(two.net), "forward", asking)
    alone(two, recipe)
    for a, b in zip(one.net.parameters(), two.net.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["views", "adam", "sharpened", "weighed"])
def test_a_recorded_step_is_the_step_itself(name, monkeypatch):
    one, two = learner(0, "cuda"), learner(0, "cuda")
    alone(one, RECIPES[name])
    monkeypatch.setattr("sudare.training.loop._records", lambda *_: False)
    alone(two, RECIPES[name])
    for a, b in zip(one.net.parameters(), two.net.parameters(), strict=True):
        assert torch.equal(a, b)
