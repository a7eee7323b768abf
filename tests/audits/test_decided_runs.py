"""A real run: real images are refused, the decision is everywhere, and a release asks for it."""

import json

import pytest

from sudare.audits.artefact import AuditRequest, audit_artefact
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.audits.ship import decided_in, make_artefact
from sudare.cli.options import choose_route
from sudare.cli.report import report
from sudare.core.decisions import Outcome, Reply
from sudare.core.errors import AuditError, ConfigError
from sudare.core.progress import Silent
from sudare.fleets.cache import Cache
from sudare.releases.store import read_card


def test_real_images_are_refused_and_the_decision_is_in_every_file(smoke):
    folder, _, result = smoke
    subset = result.decisions["subset-4"]
    assert subset.outcome is Outcome.REFUSE
    assert subset.answer("copies").reply is Reply.LEAKS
    for name in ("run.json", "findings.json"):
        told = {
            d["release"]: d["outcome"] for d in json.loads((folder / name).read_text())["decisions"]
        }
        assert told == {name: one.outcome.value for name, one in result.decisions.items()}
    # Four builds say nothing of the most exposed: nothing is shared.
    assert Outcome.SHARE not in {one.outcome for one in result.decisions.values()}


@pytest.mark.parametrize(
    ("require", "status"),
    [
        (("balanced_accuracy >= 0.1",), 0),
        (("balanced_accuracy >= 1.1",), 1),
        (("decision = share",), 3),
    ],
)
def test_requirements_set_the_exit_status(smoke, require, status):
    assert report(smoke[0], require=require) == status


def route(name):
    values = apply_overrides(choose_route(read_toml("smoke"), name), [])
    return load_config(values)


def test_a_release_asks_the_run_and_says_that_it_is_not_audited(smoke, tmp_path):
    run = smoke[0]
    with pytest.raises(ConfigError, match="the run says of 'subset-4': do not share"):
        decided_in(run, ["subset-4"], despite=False)
    with pytest.raises(ConfigError, match="the run did not audit 'mtt-10'"):
        decided_in(run, ["mtt-10"], despite=True)
    said = decided_in(run, ["subset-4"], despite=True)
    made = make_artefact(route("subset"), tmp_path / "it", progress=Silent(), decision=said)
    assert made.shows_private
    assert read_card(made.release).settings["audit"] == (
        "not audited; a run of such releases: do not share, built despite it"
    )
    plain = make_artefact(route("plain"), tmp_path / "plain", progress=Silent())
    assert not plain.shows_private
    assert read_card(plain.release).settings["audit"] == "not audited"
    # The key of one is no key of the other, and nothing is built to find that out.
    request = AuditRequest(release=plain.release, key=made.key, builds=4, command="test")
    with pytest.raises(AuditError, match="this key is of '4 real images a class'"):
        audit_artefact(request, tmp_path / "run", cache=Cache(tmp_path / "c"), progress=Silent())
    assert not any((tmp_path / "c").rglob("releases"))
