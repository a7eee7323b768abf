"""Before the first build it is said which questions the run can answer."""

import numpy as np

from sudare.audits.config import load_config, read_toml
from sudare.audits.decisions.foresight import foreseen, said_of
from sudare.data.splits import AuditSplit
from tests.data.makers import dataset, noise


def split(pool=400, test=300):
    rng = np.random.default_rng(0)
    return AuditSplit(
        pool=dataset(noise(rng, pool, 1, 8, 8)),
        public=dataset(noise(rng, 0, 1, 8, 8)),
        population=dataset(noise(rng, 0, 1, 8, 8)),
        test=dataset(noise(rng, test, 1, 8, 8), unit=np.arange(pool, pool + test)),
    )


def config(builds=8, **changes):
    values = read_toml("smoke")
    return load_config({**values, "fleet": {"builds": builds}, **changes})


def test_a_run_that_can_answer_says_so():
    assert foreseen(config(), split()) == {}
    assert "can be answered for every release" in said_of({}, 3)


def test_four_builds_cannot_tell_of_the_most_exposed():
    found = foreseen(config(4), split())
    assert "the most exposed need 8 builds, 4 are made" in found
    said = said_of(found, 3)
    assert said.startswith('For 3 of 3 releases this run will say "cannot tell" at best')
    assert "(all)" in said


def test_few_people_few_test_images_and_missing_checks_are_named():
    few = foreseen(config(), split(pool=40, test=10))
    assert any("there are 40" in what for what in few)
    assert any("50 test images" in what for what in few)
    assert any("average at chance needs about" in what for what in few)
    features = config(
        routes=[{"kind": "plain"}, {"kind": "features", "model": {"name": "gaussian"}}]
    )
    assert any('the check "sampler"' in what for what in foreseen(features, split()))


def test_a_route_that_the_collection_cannot_feed_is_named_before_the_plan():
    few = config(
        routes=[
            {"kind": "subset", "images_per_class": 300},
            {"kind": "coreset", "images_per_class": 300},
            {"kind": "distillation", "images_per_class": 300, "init": "real"},
            {"kind": "distillation", "images_per_class": 301},
        ]
    )
    found = foreseen(few, split())
    ((what, labels),) = ((w, who) for w, who in found.items() if "are wanted" in w)
    assert what.endswith("images in a build, 300 are wanted")
    assert labels == [
        release.label for route in few.routes[:3] for release in route.releases
    ]  # Noise wants nobody's images.
    assert not any("are wanted" in w for w in foreseen(config(), split()))


def test_the_demo_has_the_builds_its_questions_need():
    demo = load_config(read_toml("demo"))
    assert foreseen(demo, split(pool=1200)) == {}
