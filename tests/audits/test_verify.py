"""A third party recomputes every figure from evidence that holds no pixel."""

import json
import shutil

import numpy as np
import pytest

from sudare.audits.verify import export, verify
from sudare.core.errors import AuditError
from sudare.core.progress import Silent


@pytest.fixture
def evidence(smoke, tmp_path):
    run, _, _ = smoke
    return export(run, tmp_path / "evidence")


def test_every_figure_but_costs_is_recomputed_and_agrees(evidence, smoke):
    _, _, result = smoke
    found = verify(evidence, progress=Silent())
    assert found.holds
    assert found.differ == ()
    beyond = [f for f in result.findings.findings if f.id.startswith("cost.")]
    assert len(found.not_recomputed) == len(beyond)
    assert found.agree == len(result.findings.findings) - len(beyond)


def test_a_figure_that_was_changed_is_found_even_with_a_forged_manifest(evidence):
    path = evidence / "findings.json"
    values = json.loads(path.read_text())
    target = next(f for f in values["findings"] if f["id"] == "membership.rmia.auc")
    target["value"] = target["low"] = 0.5
    path.write_text(json.dumps(values))
    with pytest.raises(AuditError, match="changed after the export"):
        verify(evidence, progress=Silent())
    _forge(evidence, "findings.json")
    found = verify(evidence, progress=Silent())
    assert not found.holds
    assert "membership.rmia.auc" in found.differ[0]


def test_another_membership_does_not_open_the_commitment(evidence):
    path = evidence / "plain.npz"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["membership"] = ~arrays["membership"]
    np.savez(path, **arrays)
    _forge(evidence, "plain.npz")
    found = verify(evidence, progress=Silent())
    assert not found.committed
    assert not found.holds


def test_evidence_holds_no_pixel_and_no_name_of_a_unit(evidence, smoke):
    _, _, result = smoke
    side = result.summary.data.image_shape[1]
    for path in evidence.glob("*.npz"):
        with np.load(path) as file:
            assert "covariates" not in file.files
            assert not [n for n in file.files if file[n].shape[-2:] == (side, side)]
            assert file["units"].max() < file["membership"].shape[1]
    assert not list(evidence.glob("*.png"))


def test_files_that_are_missing_or_unlisted_are_refused(evidence):
    shutil.copy(evidence / "plain.npz", evidence / "more.npz")
    with pytest.raises(AuditError, match=r"unlisted files: more\.npz"):
        verify(evidence, progress=Silent())


def test_a_folder_without_evidence_and_a_taken_one_are_refused(tmp_path, smoke):
    with pytest.raises(AuditError, match="no evidence"):
        export(tmp_path, tmp_path / "out")
    run, _, _ = smoke
    with pytest.raises(AuditError, match="the folder exists"):
        export(run, tmp_path)


def _rewritten(evidence, change):
    """The verification after findings were forged, manifest and all."""
    path = evidence / "findings.json"
    values = json.loads(path.read_text())
    change(values["findings"])
    path.write_text(json.dumps(values))
    _forge(evidence, "findings.json")
    return verify(evidence, progress=Silent())


def _of(findings, name="membership.rmia.auc"):
    return next(f for f in findings if f["id"] == name and not f["group"])


def _unresolved(findings):
    return next(f for f in findings if f["status"] == "unresolvable")


FORGERIES = {
    "a value": lambda fs: _of(fs).update(value=0.5, low=0.49, high=0.51),
    "an end of an interval": lambda fs: _of(fs).update(high=_of(fs)["high"] - 0.01),
    "a dropped finding": lambda fs: fs.remove(_of(fs)),
    "an invented finding": lambda fs: fs.append({**_of(fs), "id": "membership.magic.auc"}),
    "an invented figure": lambda fs: fs.append({**_of(fs), "id": "safety.score"}),
    "an invented group": lambda fs: fs.append({**_of(fs), "group": "everybody"}),
    "a finding twice": lambda fs: fs.append({**_of(fs)}),
    "a number that was unresolvable": lambda fs: _unresolved(fs).update(
        status="measured", value=0.1, low=0.0, high=0.2
    ),
    "a measured number called unresolvable": lambda fs: _of(fs).update(
        status="unresolvable", value=None, low=None, high=None, reason="too few"
    ),
    "a threat model": lambda fs: _of(fs).update(threat_model="classifier/labels"),
    "a method": lambda fs: _of(fs).update(method="exact"),
    "a unit": lambda fs: _of(fs).update(unit="per cent"),
    "a number of builds": lambda fs: _of(fs).update(n_builds=256),
    "a number of units": lambda fs: _of(fs).update(n_units=100_000),
    "a level": lambda fs: _of(fs).update(level=0.99),
    "a null control": lambda fs: _of(fs).update(null_control=True),
    "nothing at all": lambda fs: fs.clear(),
    "only what is not recomputed": lambda fs: fs.__setitem__(
        slice(None), [f for f in fs if f["id"].startswith("cost.")]
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_findings_do_not_verify(evidence, forgery):
    """Findings dropped, invented or relabelled once came out as "not in the evidence", exit 0."""
    assert not _rewritten(evidence, FORGERIES[forgery]).holds


def test_an_empty_commitment_does_not_open(evidence):
    path = evidence / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "membership_commitment": ""}))
    found = verify(evidence, progress=Silent())
    assert not found.committed
    assert not found.holds


def test_removed_arrays_do_not_make_figures_unverifiable(evidence):
    path = evidence / "plain.npz"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    del arrays["check.membership.phi"]
    np.savez(path, **arrays)
    _forge(evidence, "plain.npz")
    found = _rewritten(
        evidence,
        lambda fs: [
            f.update(value=0.5, low=0.5, high=0.5)
            for f in fs
            if f["id"].endswith(".auc") and f["value"]
        ],
    )
    assert not found.holds


def _forge(folder, name):
    import hashlib

    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest))
