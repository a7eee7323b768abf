"""Synthesis and federation in one run: releases, choices, the outsider, statements, both pages."""

import numpy as np
import pytest

from sudare.audits.compare import compare
from sudare.audits.config import load_config
from sudare.audits.verify import export, verify
from sudare.cli.federate import pay
from sudare.core.errors import DataError, ReleaseError
from sudare.core.progress import Silent
from sudare.fleets.cache import Cache
from sudare.releases.store import read_card
from sudare.report import write_report

MLP = {"name": "mlp", "width": 16, "depth": 1}
RECIPE = {"epochs": 4, "batch_size": 32, "augmentation": []}


def config(**data):
    return load_config(
        {
            "data": {"source": "digits", "pool": 300, "population": 200, "public": 100, "test": 300}
            | data,
            "fleet": {"builds": 4, "workers": 1},
            "routes": [
                {
                    "kind": "synthesis",
                    "net": MLP,
                    "recipe": RECIPE,
                    "gan": {"steps": 8, "width": 4, "latent": 4, "snapshots": 2, "batch_size": 16},
                    "selection": {"steps": 4, "seeds": 1, "sigmas": [1.0], "thresholds": [-1.0]},
                },
                {
                    "kind": "federation",
                    "net": MLP,
                    "clients": 3,
                    "rounds": 2,
                    "local_steps": 2,
                    "recipe": {"augmentation": []},
                    "privacy": {"target_epsilon": 8.0, "delta": 1e-3},
                    "valuation": {"score": "vog"},
                },
            ],
            "recipients": {"net": MLP, "recipe": {"steps": 20, "augmentation": []}},
            "attacks": {"membership": ["rmia", "loss"]},
            "checks": [{"kind": "outsider", "shadows": 2, "net": MLP, "recipe": {"epochs": 2}}],
            "audit": {"draws": 200},
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    base = tmp_path_factory.mktemp("new-routes")
    result = compare(
        config(), base / "run", cache=Cache(base / "cache"), progress=Silent(), command="test"
    )
    return base / "run", result, write_report(base / "run")


def test_one_build_gives_a_set_and_a_student_and_both_are_attacked(run):
    _, result, _ = run
    sees = {
        f.release: f.threat_model
        for f in result.findings.findings
        if f.id == "membership.rmia.auc" and not f.group
    }
    assert sees == {
        "synthesis": "samples/recipient",
        "synthesis-student": "classifier/logits",
        "federation-3-eps8": "federation/final",
    }


def test_the_outsider_and_aop_are_measured_for_each(run):
    _, result, _ = run
    for name in ("synthesis", "synthesis-student", "federation-3-eps8"):
        auc = result.findings.get("membership.rmia.auc", name).value
        accuracy = result.findings.get("utility.accuracy", name).value
        aop = result.findings.get("membership.rmia.aop", name).value
        assert aop == pytest.approx(accuracy / (2 * max(auc, 0.5)) ** 2)
        assert 0.3 < result.findings.get("outsider.auc", name).value < 0.7
        null = result.findings.get("outsider.null_auc", name)
        assert null.low <= 0.5 <= null.high


def test_what_builds_chose_among_stays_in_the_house(run):
    folder, result, paths = run
    (choice,) = result.summary.choices
    assert choice.what == "generator"
    assert np.array(choice.scores).shape == (4, 2)
    inside, outside = paths.internal.read_text(), paths.public.read_text()
    assert 'id="choices"' in inside
    assert 'id="choices"' not in outside
    kept = [picture for picture in result.summary.pictures if picture.kind == "choices"]
    assert len(kept) == 2
    assert all((folder / picture.file).stat().st_mode & 0o077 == 0 for picture in kept)


def test_owners_are_named_inside_and_only_rules_outside(run):
    _, _, paths = run
    inside, outside = paths.internal.read_text(), paths.public.read_text()
    assert "owner 1" in inside
    assert "owner 1" not in outside
    assert 'id="federation-federation-3-eps8"' in outside
    assert "by what all would lose" in outside


def test_each_owner_is_told_what_it_is_paid_and_why(run, capsys):
    folder, _, _ = run
    release = folder / "releases" / "federation-3-eps8"
    assert pay(release) == 0
    said = "".join(capsys.readouterr())
    spec = read_card(release).spec
    for told in spec.statements:
        assert f"{told.owner}: paid {told.payouts['shapley'] / 100:,.2f} (shapley)" in said
    assert said.count("epsilon 7.") == 3
    with pytest.raises(ReleaseError, match="no federation"):
        pay(folder / "releases" / "synthesis")


def test_a_third_party_recomputes_it_all(run, tmp_path):
    folder, _, _ = run
    export(folder, tmp_path / "evidence")
    found = verify(tmp_path / "evidence", progress=Silent())
    assert found.differ == ()
    assert found.holds
    assert found.agree > 60


def test_an_outsider_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="images of their own"):
        compare(
            config(population=10),
            tmp_path / "run",
            cache=Cache(tmp_path / "cache"),
            progress=Silent(),
            command="test",
        )
