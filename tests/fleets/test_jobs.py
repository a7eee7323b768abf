"""Jobs: a field that the result depends on is in the key, and a job arrives as it was sent."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from sudare.audits.checks.built_in import MembershipCheckConfig
from sudare.audits.checks.jobs import CheckJob, PoolJob, PrepareJob
from sudare.audits.checks.recipient_models import ArtefactRelease, BuiltRelease, RecipientsJob
from sudare.audits.checks.registry import parse_check
from sudare.fleets.builds import BuildJob
from sudare.fleets.features import FeaturesJob
from sudare.fleets.jobs import Job, job_of, message_of
from sudare.fleets.lanes import LanesJob
from sudare.nets.extractors.config import ExtractorConfig
from sudare.recipients.config import RecipientConfig
from sudare.routes import parse_route

BUILD = BuildJob(
    pool="a", public="b", rows="ff", route=parse_route({"kind": "plain"}), seed=1, device="cpu",
    threads=1,
)  # fmt: skip
MODELS = RecipientsJob(
    release=BuiltRelease(build=BUILD.key, name="plain"),
    recipients=RecipientConfig(),
    seed=3,
    device="cpu",
    threads=1,
)
PREPARED = PrepareJob(
    check=parse_check({"kind": "fairness"}),
    parts={"public": "c", "population": "d"},
    classes=("x", "y"),
    seed=4,
    device="cpu",
    threads=1,
)
POOLED = PoolJob(
    check=parse_check({"kind": "fairness"}),
    prepared=PREPARED,
    parts={"pool": "h", "population": "i", "test": "j"},
    device="cpu",
    threads=1,
)
JOBS = {
    "build": BUILD,
    "lanes": LanesJob(builds=(BUILD,)),
    "features": FeaturesJob(
        extractor=ExtractorConfig(), fingerprint="f", images="g", first=0, device="cpu", threads=1
    ),
    "recipients": MODELS,
    "prepare": PREPARED,
    "pool": POOLED,
    "check": CheckJob(
        check=parse_check({"kind": "fairness"}),
        prepared=PREPARED,
        pooled=POOLED,
        models=MODELS,
        parts={"pool": "h", "population": "i", "test": "j"},
        threads=1,
    ),
}
OTHER = {
    "route": parse_route({"kind": "plain", "recipe": {"epochs": 7}}),
    "check": parse_check({"kind": "copies"}),
    "recipients": RecipientConfig(count=3),
    "release": BuiltRelease(build=BUILD.key, name="other"),
    "extractor": ExtractorConfig(size_px=64),
    "builds": (BUILD, BUILD),
    "parts": {"pool": "else", "population": "i", "test": "j", "public": "c"},
    "classes": ("x", "z"),
    "prepared": None,
    "pooled": None,
    "models": MODELS.model_copy(update={"key": "other"}),
}


def other(value, name):
    if name in OTHER:
        return OTHER[name]
    return value + 1 if isinstance(value, int) else value + "0"


def fields(job):
    return [name for name in type(job).model_fields if name != "key"]


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, job in JOBS.items() for field in fields(job)]
)
def test_every_field_of_every_job_is_in_its_key(name, field):
    job = JOBS[name]
    values = {each: getattr(job, each) for each in fields(job)}
    again = type(job)(**values)
    assert again.key == job.key
    changed = type(job)(**values | {field: other(values[field], field)})
    assert changed.key != job.key


@pytest.mark.parametrize("name", JOBS)
def test_a_job_arrives_as_it_was_sent(name):
    job = JOBS[name]
    arrived = job_of(json.loads(json.dumps(message_of(job))))
    assert type(arrived) is type(job)
    assert arrived == job
    assert arrived.key == job.key


def jobs_of_this_program(kind=Job):
    for below in kind.__subclasses__():
        yield below
        yield from jobs_of_this_program(below)


def test_the_table_above_has_every_job():
    own = {kind for kind in jobs_of_this_program() if kind.__module__.startswith("sudare.")}
    assert own == {type(job) for job in JOBS.values()}


def paths_in(model):
    for field in model.model_fields.values():
        if field.annotation is Path:
            yield model
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from paths_in(field.annotation)


def test_no_job_names_a_place_but_that_of_an_artefact():
    """Where entries lie follows from the cache; a path would say nothing of what is in it."""
    assert {found for job in JOBS.values() for found in paths_in(type(job))} == set()
    assert set(paths_in(ArtefactRelease)) == {ArtefactRelease}
    assert ArtefactRelease(content="a", place=Path("x")).content == "a"


def test_the_key_holds_the_code_that_runs(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "sudare.fleets.jobs.entry_key", lambda values, roots: str(seen.append(roots))
    )
    BUILD.key_without()
    JOBS["check"].key_without()
    assert {"sudare.fleets.builds", "sudare.routes.classifiers.build"} <= set(seen[0])
    assert {"sudare.audits.checks.jobs", "sudare.audits.checks.fairness"} <= set(seen[1])


@pytest.mark.parametrize(
    ("check", "modules"),
    [
        (
            MembershipCheckConfig(),
            {
                "sudare.attacks.signals",
                "sudare.attacks.boundary",
                "sudare.attacks.nearest_neighbour",
            },
        ),
        (
            parse_check({"kind": "evasion", "attacks": ["fgsm", "deepfool"]}),
            {"sudare.attacks.evasion.fgsm", "sudare.attacks.evasion.deepfool"},
        ),
        (parse_check({"kind": "inversion"}), {"sudare.attacks.inversion.priors"}),
    ],
)
def test_what_a_registry_leads_a_check_to_is_in_its_key(check, modules):
    """No import shows it: without it an attack that was mended would not run again."""
    job = JOBS["check"].model_copy(update={"check": check})
    assert modules <= set(job.modules)
