"""One artefact: checks measure it as it is, and a third party recomputes what they found."""

import json

import pytest

from sudare.audits.artefact import AuditRequest, audit_artefact
from sudare.audits.config import apply_overrides, load_config, read_toml
from sudare.audits.shipping import make_artefact
from sudare.audits.verify import export, verify
from sudare.core.progress import Silent
from sudare.core.threats import ThreatModel
from sudare.fleets.cache import Cache

SMALL = (
    "data.pool=64",
    "data.population=60",
    "data.test=40",
    "audit.draws=100",
    'attacks.membership=["rmia"]',
    'checks=[{kind="fairness"}, {kind="evasion", images=20, attacks=["fgsm"], epsilons=[8]},'
    ' {kind="sampler"}]',
    "fleet.workers=1",
)


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    base = tmp_path_factory.mktemp("artefact")
    values = apply_overrides(read_toml("smoke"), SMALL)
    values["routes"] = values["routes"][:1]
    made = make_artefact(load_config(values), base / "mine", progress=Silent())
    request = AuditRequest(release=made.release, key=made.key, builds=4, command="test")
    result = audit_artefact(request, base / "run", cache=Cache(base / "cache"), progress=Silent())
    return base, result


def test_checks_measure_the_artefact_itself_and_not_its_shadows(audited):
    base, result = audited
    found = {f.id: f for f in result.findings.findings if not f.group}
    fooled = found["evasion.fgsm.accuracy@8"]
    assert fooled.n_builds == 1
    assert (fooled.low, fooled.high) == (None, None)
    assert fooled.threat_model == ThreatModel.CLASSIFIER_WEIGHTS
    assert "fairness.worst_class" in found
    # A check for other kinds of release measures nothing.
    assert not [name for name in found if name.startswith("sampler.")]
    assert [picture.kind for picture in result.summary.pictures] in ([], ["evasion"])
    said = " ".join(result.summary.limits)
    assert "membership inference, fairness between classes and groups, evasion" in said
    assert (base / "run" / "findings.json").exists()


def test_a_null_audit_of_an_artefact_finds_nothing(audited, tmp_path):
    base, _ = audited
    request = AuditRequest(
        release=base / "mine" / "release",
        key=base / "mine-private" / "audit-key.npz",
        builds=4,
        null=True,
        command="test",
    )
    result = audit_artefact(
        request, tmp_path / "run", cache=Cache(base / "cache"), progress=Silent()
    )
    assert result.summary.null_control
    found = {f.id: f for f in result.findings.findings if not f.group}
    assert found["membership.rmia.auc"].null_control
    assert found["membership.rmia.auc"].low <= 0.5 <= found["membership.rmia.auc"].high


def test_a_third_party_recomputes_what_checks_found_of_an_artefact(audited, tmp_path):
    base, _ = audited
    found = verify(export(base / "run", tmp_path / "evidence"), progress=Silent())
    assert found.holds, found
    printed = json.loads((base / "run" / "findings.json").read_text())["findings"]
    recomputed = {f["id"] for f in printed} - set(found.not_recomputed)
    assert "evasion.fgsm.accuracy@8" in recomputed
