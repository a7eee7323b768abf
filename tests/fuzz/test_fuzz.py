"""Whatever is done to a file from outside, reading it ends in our own error or in what it says."""

import random
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from sudare.audits.artefact import _read_key
from sudare.audits.config import load_config, read_toml
from sudare.audits.external import audit_scores
from sudare.audits.external_scores import read_scores
from sudare.audits.ship import make_artefact
from sudare.audits.verify import export, verify
from sudare.core.errors import SudareError
from sudare.core.progress import Silent
from sudare.recipients.use import contact_sheet_of
from sudare.releases.registry import KINDS
from sudare.releases.store import read_release, write_release
from sudare.report.load import load_run
from sudare.report.page import write_report
from sudare.routes import make_route, parse_route
from sudare.routes.context import BuildContext
from sudare.routes.federation.job import read_job, write_job
from tests.audits.conftest import run_smoke
from tests.fuzz.mutations import mutated, refitted, relisted
from tests.routes.test_conformance import SETTINGS, images
from tests.routes.test_federation_job import made

MOST_SECONDS, MOST_BYTES = 20, 1 << 30
ONE_ROUTE = 'routes=[{kind="plain", net={name="mlp", width=8}, recipe={epochs=2}}]'


def read_folder(folder):
    release = read_release(folder)
    release.card.to_markdown()
    if release.pictures() is not None:
        contact_sheet_of(release)
    for threat in release.views:
        release.expose(threat)


def report_folder(folder):
    load_run(folder)


READERS = {
    "keys": _read_key,
    "scores": read_scores,
    "configurations": lambda path: load_config(read_toml(str(path))),
    "jobs": read_job,
    "runs": report_folder,
    "evidence": lambda folder: verify(folder, progress=Silent()),
} | dict.fromkeys(KINDS, read_folder)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One of each thing that reaches us from outside."""
    base = tmp_path_factory.mktemp("originals")
    data = images()
    for kind in ("plain", "subset", "features", "synthesis", "federation"):
        more = {"beside": ["generator"]} if kind == "synthesis" else {}
        if kind == "federation":
            more = {"privacy": {"noise_multiplier": 1.5, "delta": 1e-3}}
        route = make_route(parse_route({"kind": kind, **SETTINGS[kind], **more}))
        for release in route.build(data, BuildContext.of(data[:0], seed=0)).releases.values():
            if not (base / release.kind).exists():
                write_release(release, base / release.kind)
    assert {path.name for path in base.iterdir()} == set(KINDS)

    config = load_config(
        {
            "data": {"source": "digits", "population": 100},
            "routes": [{"kind": "plain", **SETTINGS["plain"]}],
        }
    )
    (base / "keys").mkdir()
    made_key = make_artefact(config, base / "artefact", progress=Silent()).key
    shutil.copy(made_key, base / "keys" / "audit-key.npz")
    (base / "scores").mkdir()
    member = np.arange(60) % 2
    scores = np.random.default_rng(0).normal(size=60) + member
    np.savez(base / "scores" / "scores.npz", scores=scores, membership=member, units=np.arange(60))
    (base / "configurations").mkdir()
    (base / "configurations" / "run.toml").write_text(
        Path("src/sudare/presets/demo.toml").read_text()
    )
    (base / "jobs").mkdir()
    write_job(made(), base / "jobs" / "job.toml")
    audit_scores(read_scores(base / "scores" / "scores.npz"), folder=base / "runs")
    for spent in ("artefact", "artefact-private"):
        shutil.rmtree(base / spent)
    return base


def with_evidence(base):
    """A run's evidence too."""
    small = ("data.pool=64", "data.population=32", "data.test=40", "audit.draws=100")
    run_smoke(base / "whole", base / "cache", *small, 'attacks.membership=["rmia"]', ONE_ROUTE)
    export(base / "whole", base / "evidence")
    for spent in ("whole", "cache"):
        shutil.rmtree(base / spent)


def attack(originals, place, count, seed):
    """Mutate and read; what escaped, with the seed that repeats it."""
    rng = random.Random(seed)
    kinds = sorted(kind for kind in READERS if (originals / kind).exists())
    escaped, accepted = [], 0
    for number in range(count):
        kind = kinds[number % len(kinds)]
        source, target = originals / kind, place / "mutant"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
        files = sorted(path for path in target.rglob("*") if path.is_file())
        for path in rng.sample(files, k=min(len(files), rng.choice([1, 1, 1, 2]))):
            path.write_bytes(mutated(path.read_bytes(), path.name, rng))
        if kind in KINDS and rng.random() < 0.8:
            relisted(target)
        if kind == "evidence" and rng.random() < 0.8:
            refitted(target)
        whole = kind in KINDS or kind in ("runs", "evidence")
        start = time.process_time()
        try:
            READERS[kind](target if whole else files[0])
            accepted += 1
        except SudareError:
            pass
        except Exception as error:
            escaped.append((number, kind, type(error).__name__, str(error)[:200]))
        if time.process_time() - start > MOST_SECONDS:
            escaped.append((number, kind, "slow", f"{time.process_time() - start:.0f} s"))
    return escaped, accepted


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("count", "seed"),
    [
        pytest.param(500, 1, id="500"),
        pytest.param(100_000, 2, id="100000", marks=[pytest.mark.slow, pytest.mark.timeout(9000)]),
    ],
)
def test_a_mutated_file_is_refused_in_our_own_words_or_read(originals, tmp_path, count, seed):
    if not (originals / "evidence").exists():
        with_evidence(originals)
    attack(originals, tmp_path, len(READERS), seed)
    before = peak()
    escaped, accepted = attack(originals, tmp_path, count, seed)
    assert escaped == []
    assert peak() - before < MOST_BYTES
    # The mutations are neither all noticed nor all harmless.
    assert 0.01 * count < accepted < 0.9 * count


def test_the_originals_are_read(originals):
    for kind, read in READERS.items():
        if kind == "evidence":
            continue
        whole = kind in KINDS or kind in ("runs", "evidence")
        read(originals / kind if whole else next((originals / kind).iterdir()))
    write_report(originals / "runs")
