"""The feature route end to end: compared, shown, verified, opened without the images."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from sudare.core.errors import ReleaseError
from sudare.data.images import ImageDataset
from sudare.recipients.use import write_samples
from sudare.releases.kinds import SamplerRelease
from sudare.releases.store import read_release
from sudare.routes import make_route, parse_route
from sudare.routes.context import BuildContext

EXTRACTOR = '{ name = "random-features", size_px = 16 }'
MODELS = (
    '{ name = "cvae", latent = 4, hidden = 16, epochs = 60, lr = 0.01 }',
    '{ name = "gaussian", rank = 2 }',
    '{ name = "ksame", k = 3 }',
    '{ name = "dp-gaussian", epsilon = 4.0, delta = 1e-3 }',
)
CONFIG = """
title = "Features"
[data]
source = "digits"
pool = 400
population = 200
public = 200
test = 200
[fleet]
builds = 4
[[checks]]
kind = "sampler"
samples_per_class = 40
latent_images = 100
latent_steps = 20
[recipients.head]
epochs = 10
[attacks]
membership = ["rmia", "loss"]
[audit]
draws = 100
""" + "".join(
    f'[[routes]]\nkind = "features"\nextractor = {EXTRACTOR}\nmodel = {m}\n' for m in MODELS
)
NAMES = ("cvae-paper", "gaussian-rank2", "ksame3", "dp-gaussian-eps4")


def sudare(place, *words):
    environment = {**os.environ, "SUDARE_CACHE": str(place / "cache"), "COLUMNS": "200"}
    code = "from sudare.cli.app import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("features")
    (root / "features.toml").write_text(CONFIG)
    done = sudare(root, "compare", "--config", "features.toml", "--out", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture(scope="module")
def found(place):
    listed = json.loads((place / "run" / "findings.json").read_text())["findings"]
    return {(f["id"], f["release"]): f for f in listed if not f["group"]}


@pytest.mark.parametrize("name", NAMES)
def test_every_distribution_is_useful_attacked_and_has_its_controls(found, name):
    assert found["utility.accuracy", name]["value"] > 0.3
    assert found["membership.rmia.auc", name]["threat_model"] == "sampler/T3"
    assert found["membership.rmia.null_auc", name]["value"] == pytest.approx(0.5, abs=0.05)
    assert found["sampler.nearest.auc", name]["threat_model"] == "sampler/T1"
    assert found["sampler.nearest.null_auc", name]["value"] == pytest.approx(0.5, abs=0.05)
    assert found["sampler.variance_ratio", name]["value"] > 0
    assert 0 <= found["sampler.coverage", name]["value"] <= 1
    assert found["cost.storage_mb", name]["value"] < 1


def test_each_attack_runs_where_there_is_something_to_attack(found):
    having = {
        name: {n for (i, n), item in found.items() if i == name and item["value"] is not None}
        for name, _ in found
    }
    assert having["sampler.bounds.tpr"] == {"cvae-paper"}
    assert having["sampler.latent.auc"] == {"cvae-paper"}
    assert having["sampler.likelihood.auc"] == {"gaussian-rank2", "dp-gaussian-eps4"}
    assert found["sampler.bounds.tpr", "cvae-paper"]["value"] > 0.5
    assert found["sampler.bounds.fpr", "cvae-paper"]["value"] < 0.1
    # Means of three images lie near those three.
    assert found["sampler.nearest.auc", "ksame3"]["low"] > 0.6


def test_only_what_is_guaranteed_has_an_epsilon(found):
    having = {name for (i, name) in found if i == "privacy.epsilon"}
    assert having == {"dp-gaussian-eps4"}
    assert found["privacy.epsilon", "dp-gaussian-eps4"]["value"] == 4.0


@pytest.mark.parametrize("page", ["report.html", "report-public.html"])
def test_both_editions_show_what_leaves_and_all_four_attackers(place, page):
    text = (place / "run" / page).read_text()
    for words in (
        "Released distributions of features",
        "T0: on a bound",
        "T3: shadow builds",
        "Feature CVAE, as published (its ranges name members)",
        "lie exactly on one",
        "Feature Gaussian, epsilon 4",
    ):
        assert words in text, words


def test_a_third_party_recomputes_every_attack(place):
    assert sudare(place, "audit", "export", "run", "--out", "evidence").returncode == 0
    done = sudare(place, "audit", "verify", "evidence")
    assert done.returncode == 0, done.stdout + done.stderr


def test_features_are_computed_once_and_shared(place):
    pages = list((place / "cache" / "features").glob("*/*/*/features.npy"))
    assert sum(len(np.load(page)) for page in pages) == 400 + 200 + 200 + 200


def test_a_recipient_without_the_images_draws_and_classifies(place):
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)[:, None]
    np.savez(place / "private.npz", images=images[:900], labels=digits.target[:900])
    np.savez(place / "mine.npz", images=images[900:], labels=digits.target[900:])
    made = sudare(
        place,
        *("release", "features", "--preset", "smoke", "--data", "private.npz", "--out", "made"),
        *(
            "--set",
            f"routes.0.extractor={EXTRACTOR}",
            "--set",
            'routes.0.model={name="gaussian", rank=5}',
        ),
        *("--set", "data.population=0", "--set", "data.test=100"),
    )
    assert made.returncode == 0, made.stdout + made.stderr
    (place / "private.npz").unlink()
    release = place / "made" / "release"
    done = sudare(
        place, "open", release, "--images", "mine.npz", "--samples", 30, "--out", "drawn.npz"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    agreement = float(done.stdout.rpartition("labels: ")[2].partition("%")[0])
    assert agreement > 70
    with np.load(place / "drawn.npz", allow_pickle=False) as drawn:
        assert drawn["features"].shape == (300, 512)
        assert np.bincount(drawn["labels"]).tolist() == [30] * 10
    again = read_release(release)
    first, second = (again.sample(5, seed=3)[0] for _ in range(2))
    assert np.array_equal(first, second)
    with pytest.raises(ReleaseError, match="at least one"):
        again.sample(0, seed=0)


def test_nothing_can_be_drawn_from_a_classifier(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, size=(20, 1, 8, 8), dtype=np.uint8)
    data = ImageDataset(
        images=images, labels=np.arange(20) % 2, class_names=("a", "b"), unit=np.arange(20)
    )
    route = make_route(
        parse_route({"kind": "plain", "net": {"name": "mlp", "width": 4}, "recipe": {"epochs": 1}})
    )
    (release,) = route.build(data, BuildContext.of(data[:0], seed=0)).releases.values()
    with pytest.raises(ReleaseError, match="nothing can be drawn"):
        write_samples(release, 3, tmp_path / "drawn.npz")


@pytest.fixture(scope="module")
def gaussian(place):
    return read_release(place / "run" / "releases" / "gaussian-rank2")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("mean"), "the sampler holds"),
        (lambda t: t.update(extra=torch.ones(1)), "the sampler holds"),
        (lambda t: t.update(mean=t["mean"][:, :-1]), "where others have"),
        (lambda t: t.update(mean=t["mean"][:-1]), "where others have"),
        (lambda t: t.update(mean=t["mean"].long()), "is torch.int64"),
        (lambda t: t.update(mean=t["mean"] * torch.nan), "NaN or infinity"),
        (lambda t: t.update(scale=-t["scale"]), "not positive"),
        (lambda t: t.update(factor=t["factor"][:, :, :0]), "has shape"),
        (lambda t: t.update({n: v[:, :20] for n, v in t.items()}), "the card says"),
        (lambda t: t.update({n: v[:2] for n, v in t.items()}), "2 classes"),
        (lambda t: t.update({n: v.repeat_interleave(40, 1) for n, v in t.items()}), "20,480 num"),
    ],
)
def test_a_distribution_that_does_not_fit_is_refused_in_one_sentence(gaussian, change, said):
    tensors = dict(gaussian.tensors())
    change(tensors)
    with pytest.raises(ReleaseError, match=said):
        SamplerRelease.from_tensors(gaussian.card, tensors)


def test_a_release_for_another_extractor_is_refused(gaussian):
    spec = gaussian.card.spec.model_copy(update={"fingerprint": "0" * 64})
    other = gaussian.with_card(gaussian.card.model_copy(update={"spec": spec}))
    with pytest.raises(ReleaseError, match="not the net the release was made with"):
        other.training_set().extractor()
