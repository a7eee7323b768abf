"""``sudare poc`` and the first run on one's own images, as a newcomer types them."""

import re

import pytest

from sudare.cli.poc import poc
from tests.cli.wrong_usage import _folder, outcome

FAST = (
    "--set data.pool=160 --set data.population=60 --set data.test=60 --set audit.draws=100 "
    "--set 'routes.0.net={name=\"mlp\", width=8}' --set routes.0.recipe.epochs=3 "
    "--set audit.exposed=1 "
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    base = tmp_path_factory.mktemp("poc")
    (base / "work").mkdir()
    _folder(base / "work" / "ward7_patient_meier", count=300)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SUDARE_CACHE", str(base / "cache"))
        yield base / "work"


def test_a_first_look_answers_each_question_and_says_what_it_leaves_out(place):
    status, printed, complained = outcome(
        "sudare poc ward7_patient_meier " + FAST + "--set 'attacks.membership=[\"loss\"]' "
        "--set checks.1.images=8 --set checks.1.steps=2",
        place,
    )
    # Random pixels teach nothing: useless, and so on; but never an error.
    assert status in (1, 3), printed + complained
    assert re.search(r"(FAIL|WARN) +Plain classifier: Is it useful\?", printed)
    assert "What a full audit adds" in printed
    assert (place / "runs" / "poc-ward7_patient_meier" / "report-public.html").exists()


def test_a_route_with_a_published_budget_of_hours_has_that_of_the_demo():
    """It printed 61.7 hours and began."""
    from sudare.audits.config import read_toml

    told: list = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sudare.cli.poc.run_and_report", lambda config, *_, **how: told.append(
            (config, how)) or (_ for _ in ()).throw(KeyboardInterrupt))  # fmt: skip
        with pytest.raises(KeyboardInterrupt):
            poc("pneumonia", routes="distillation,features")
    ((config, how),) = told
    wanted = [r for r in read_toml("demo")["routes"] if r["kind"] in ("distillation", "features")]
    assert len(config.routes) == len(wanted)
    assert max(r.method.iterations for r in config.routes if r.kind == "distillation"
               ) <= 300  # fmt: skip
    assert how["most_minutes"] == 15


def test_what_would_take_longer_than_minutes_is_refused_before_anything_is_built(place):
    status, _, complained = outcome(
        "sudare poc ward7_patient_meier --routes distillation --minutes 0.01 --out long", place
    )
    assert status == 2
    assert "would take longer than 0.01 minutes" in complained
    assert not (place / "long" / "run.json").exists()


def test_the_name_of_a_private_folder_goes_onto_no_card_and_no_public_page(place):
    run = place / "runs" / "poc-ward7_patient_meier"
    for file in (*run.rglob("release.json"), *run.rglob("README.md"), run / "report-public.html"):
        assert "meier" not in file.read_text(), file
    assert '"data_name":"own images"' in re.sub(
        r"\s*:\s*", ":", next(run.rglob("release.json")).read_text()
    )


def test_a_run_folder_is_for_its_owner_and_the_public_page_for_others(place):
    run = place / "runs" / "poc-ward7_patient_meier"
    assert run.stat().st_mode & 0o777 == 0o700
    others = [path.name for path in run.iterdir() if path.is_file() and path.stat().st_mode & 0o044]
    assert others == ["report-public.html"]


@pytest.mark.slow
def test_parts_are_taken_in_proportion_to_the_collection_and_it_is_said(place):
    status, printed, complained = outcome(
        "sudare compare --preset smoke --routes plain --data ward7_patient_meier "
        "--set routes.0.recipe.epochs=1 --set 'attacks.membership=[\"rmia\"]' "
        "--set audit.draws=100 --set audit.exposed=0",
        place,
    )
    assert status == 0, printed + complained
    said = " ".join(printed.split())
    assert "300 images where 1,100 are asked for, so in proportion: pool" in said
    assert "(--set data.pool)" in said


@pytest.mark.slow
def test_a_public_name_is_given_by_its_owner(place):
    status, printed, complained = outcome(
        "sudare release plain --preset smoke --data ward7_patient_meier --out named "
        "--set data.name='Ward X-rays' --set routes.0.recipe.epochs=1",
        place,
    )
    assert status == 0, printed + complained
    assert "Ward X-rays" in (place / "named" / "release" / "README.md").read_text()
