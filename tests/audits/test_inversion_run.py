"""Inversion as a check of a run: from a source to figures, controls, pictures and pages."""

import pytest

from sudare.audits.compare import compare
from sudare.audits.config import load_config
from sudare.core.errors import DataError
from sudare.core.progress import Silent
from sudare.fleets.cache import Cache
from sudare.report import write_report

CHECK = {
    "kind": "inversion",
    "classes": 4,
    "latent": 12,
    "pool": 200,
    "candidates": 5,
    "keep": 4,
    "steps": 40,
    "evaluator": {"name": "convnet", "width": 16, "depth": 2},
    "evaluator_recipe": {
        "epochs": 12, "optimizer": "adam", "lr": 3e-3, "weight_decay": 0.0, "batch_size": 32,
    },
    "extraction_steps": 60,
    "builds": 2,
}  # fmt: skip


def config(**data):
    return load_config(
        {
            "data": {"source": "digits", "pool": 400, "population": 500, "public": 0, "test": 300}
            | data,
            "fleet": {"builds": 4, "workers": 1},
            "routes": [
                {
                    "kind": "plain",
                    "net": {"name": "convnet", "width": 8, "depth": 2},
                    "recipe": {"epochs": 12, "augmentation": []},
                },
                {"kind": "subset", "images_per_class": 4},
            ],
            "recipients": {
                "net": {"name": "convnet", "width": 8, "depth": 2},
                "recipe": {"steps": 40, "augmentation": []},
            },
            "attacks": {"membership": ["rmia"]},
            "checks": [CHECK],
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    base = tmp_path_factory.mktemp("inversion")
    result = compare(
        config(), base / "run", cache=Cache(base / "cache"), progress=Silent(), command="test"
    )
    return base / "run", result


def value(result, name, release="plain"):
    (found,) = [
        f for f in result.findings.findings if (f.id, f.release) == (f"inversion.{name}", release)
    ]
    return found.value


def test_a_digit_classifier_gives_its_digits_away_and_random_weights_do_not(run):
    _, result = run
    assert value(result, "evaluator_accuracy") > 0.9
    assert value(result, "top1") > value(result, "random_top1") + 0.4
    assert value(result, "random_top1") < 0.5
    # Counted against the other half: what a prior draws is nobody.
    assert value(result, "near") == value(result, "near_excess") == 0
    assert value(result, "distance") < value(result, "random_distance")
    assert value(result, "real_distance") < value(result, "distance")
    assert value(result, "extraction") > 0.4
    assert value(result, "every_top1") >= value(result, "first_top1")
    assert -1 < value(result, "gradient_cosine") < 1


def test_the_attacker_of_a_classifier_has_its_weights_and_of_a_set_a_net_trained_on_it(run):
    _, result = run
    sees = {f.release: f.threat_model for f in result.findings.findings if f.id == "inversion.top1"}
    assert sees == {"plain": "classifier/weights", "subset-4": "samples/recipient"}


def test_a_finding_says_what_the_prior_saw(run):
    _, result = run
    found = result.findings.get("inversion.top1", "plain")
    assert found.method.endswith("; pca prior of the same classes")


def test_pictures_stay_in_the_house_and_figures_are_on_both_pages(run):
    folder, _ = run
    paths = write_report(folder)
    inside, outside = paths.internal.read_text(), paths.public.read_text()
    assert 'id="inversion"' in inside
    assert 'id="inversion"' in outside
    part = outside[outside.index('id="inversion"') :]
    assert "<img" not in part[: part.index("</section>")]
    assert "the nearest real image of its class" in inside


def test_an_attacker_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="of the attacker's own"):
        compare(
            config(population=20),
            tmp_path / "run",
            cache=Cache(tmp_path / "cache"),
            progress=Silent(),
            command="test",
        )
