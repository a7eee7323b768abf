import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sudare.audits.config import load_config, read_toml
from sudare.audits.parts import split_of
from sudare.audits.verify import export, verify
from sudare.core.errors import ConfigError, DataError
from sudare.core.findings import Findings, Status
from sudare.core.progress import Silent
from sudare.core.runs import RunSummary, Verdict
from sudare.releases.store import read_release

from .conftest import Heard, english_in, run_smoke


def figures(result):
    return [f for f in result.findings.findings if not f.id.startswith("cost.")]


def test_a_run_folder_holds_everything_that_was_promised(smoke):
    folder, _, result = smoke
    names = {path.name for path in folder.iterdir()}
    assert {"findings.json", "run.json", "config.toml", "releases"} <= names
    written = json.loads((folder / "findings.json").read_text())
    assert set(written) == {"schema", "findings", "decisions"}
    assert Findings.model_validate(written) == result.findings
    RunSummary.model_validate_json((folder / "run.json").read_text())
    assert load_config(read_toml(str(folder / "config.toml"))) == load_config(read_toml("smoke"))


def test_every_release_has_utility_membership_and_cost_findings(smoke):
    _, _, result = smoke
    for release in ("plain", "dpsgd-eps8", "subset-4"):
        for name in (
            "utility.accuracy",
            "utility.balanced_accuracy",
            "utility.ece",
            "utility.heldout_accuracy",
            "membership.lira.auc",
            "membership.rmia_offline.auc",
            "membership.shokri.auc",
            "membership.lira.null_auc",
            "cost.storage_mb",
            "cost.audit_cpu_s",
        ):
            finding = result.findings.get(name, release)
            assert finding.status is Status.MEASURED
            # What was measured once has no interval.
            assert name == "cost.audit_cpu_s" or finding.low <= finding.value <= finding.high
    assert result.findings.get("membership.lira.tpr@0.001", "plain").status is Status.UNRESOLVABLE
    assert result.findings.get("privacy.epsilon", "dpsgd-eps8").value <= 8


def test_findings_count_units_of_images_and_never_builds_as_units(smoke):
    _, _, result = smoke
    by_id = {finding.id: finding for finding in result.findings.findings if not finding.group}
    for name in ("utility.balanced_accuracy", "utility.heldout_accuracy", "cost.build_cpu_s"):
        assert (by_id[name].n_units, by_id[name].n_builds) == (0, 4)
    assert by_id["cost.audit_cpu_s"].n_units == 0
    assert by_id["membership.lira.auc"].n_units == result.summary.data.pool_units
    assert by_id["membership.lira.null_auc"].n_units == result.summary.data.pool_units


def test_a_set_of_real_images_is_found_out_by_looking(smoke):
    """Ten classes of four images from a private half of 200."""
    _, _, result = smoke
    tpr = result.findings.get("membership.copies.tpr", "subset-4")
    assert tpr.threat_model == "samples/set"
    assert tpr.value == pytest.approx(40 / 200, abs=0.005)
    assert result.findings.get("membership.copies.fpr", "subset-4").value == 0
    assert not [
        f
        for f in result.findings.findings
        if f.id.startswith("membership.copies.") and f.release == "plain"
    ]


def test_released_folders_open_and_say_that_they_are_for_evaluation(smoke):
    folder, _, _ = smoke
    for name in ("plain", "dpsgd-eps8", "subset-4"):
        assert read_release(folder / "releases" / name).card.purpose == "evaluation"


def test_the_same_run_again_uses_the_cache_and_gives_the_same_findings(smoke, tmp_path):
    _, cache, result = smoke
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}
    heard = Heard()
    again = run_smoke(tmp_path / "again", cache, progress=heard)
    assert "12 of 12 builds are there already." in heard.told
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")} == before
    assert figures(again) == figures(result)


def test_a_cold_cache_gives_the_same_findings(smoke, tmp_path):
    _, _, result = smoke
    fresh = run_smoke(tmp_path / "run", tmp_path / "cache")
    assert figures(fresh) == figures(result)


def test_the_null_control_reuses_the_builds_and_finds_chance(smoke, tmp_path):
    _, cache, _ = smoke
    before = len(list(cache.rglob("record.npz")))
    gate = 'audit.fail_on=["membership.lira.auc > 0.9"]'
    null = run_smoke(tmp_path / "null", cache, "audit.null=true", gate)
    assert len(list(cache.rglob("record.npz"))) == before
    assert null.summary.null_control
    assert all(finding.null_control for finding in null.findings.findings)
    assert {gate.verdict for gate in null.gates} == {Verdict.NOT_EVALUABLE}
    aucs = [f for f in null.findings.findings if f.id.endswith(".auc") and not f.group]
    aucs = [f for f in aucs if f.status is Status.MEASURED]
    missed = [f for f in aucs if not f.low <= 0.5 <= f.high]
    # 26 correlated tests at 95 %: a few may miss, a majority would be a bug.
    assert len(aucs) == 26
    assert len(missed) <= 5
    assert abs(np.mean([f.value for f in aucs]) - 0.5) < 0.02


def test_gates_and_their_verdicts_are_written(smoke, tmp_path):
    _, cache, _ = smoke
    gates = 'audit.fail_on=["utility.accuracy < 0.05", "plain: utility.accuracy > 0.05"]'
    result = run_smoke(tmp_path / "gated", cache, gates)
    assert [gate.verdict for gate in result.gates] == ["pass", "pass", "pass", "fail"]


def test_findings_are_written_after_every_route(smoke, tmp_path):
    from sudare.audits.compare import compare
    from sudare.fleets.cache import Cache

    _, cache, _ = smoke
    seen = []

    def after_stage(folder):
        text = (folder / "findings.json").read_text()
        seen.append(len({f.release for f in Findings.model_validate_json(text).findings}))

    config = load_config(read_toml("smoke"))
    compare(
        config,
        tmp_path / "r",
        cache=Cache(cache),
        progress=Silent(),
        command="x",
        after_stage=after_stage,
    )
    assert seen == [0, 1, 2, 3, 3]


def test_a_set_of_real_images_looks_copied_and_is_found_by_distance_alone(smoke):
    _, _, result = smoke
    get = result.findings.get
    assert get("copying.pixels.closer_to_members", "subset-4").value == 1
    assert get("copying.pixels.authenticity", "subset-4").value == 0
    assert get("copying.features.nearness_ratio", "subset-4").high < 0.1
    near = get("membership.nearest.auc", "subset-4")
    assert near.threat_model.value == "samples/set"
    assert near.low > 0.5
    assert get("membership.nearest.auc", "plain").status is Status.NOT_APPLICABLE
    assert get("membership.gap.auc", "plain").threat_model.value == "classifier/labels"


def test_a_run_measures_the_distance_to_the_boundary_of_some_images(smoke, tmp_path):
    _, cache, _ = smoke
    result = run_smoke(
        tmp_path / "r", cache, "attacks.boundary_images=30", "attacks.boundary_queries=40"
    )
    for release in ("plain", "dpsgd-eps8"):
        found = result.findings.get("membership.boundary.auc", release)
        assert found.threat_model.value == "classifier/labels"
        assert 0 < found.n_units <= 30
    assert export(tmp_path / "r", tmp_path / "evidence")
    assert verify(tmp_path / "evidence", progress=Silent()).holds


def test_the_split_is_disjoint_and_drawn_from_the_seed():
    config = load_config(read_toml("smoke"))
    _, one = split_of(config, progress=Silent())
    _, two = split_of(config, progress=Silent())
    other = split_of(config.model_copy(update={"seed": 1}), progress=Silent())[1]
    assert one.pool.content_hash == two.pool.content_hash != other.pool.content_hash


@pytest.mark.parametrize(
    ("overrides", "error", "says"),
    [
        (("routes=[]",), ConfigError, "no routes to compare"),
        (("attacks.primary=shadow",), ConfigError, "is not among those that run"),
        (('audit.fail_on=["nonsense"]',), ConfigError, "is not a gate"),
        (("data.pool=100000",), DataError, "are wanted and there are"),
        (("fleet.device=cuda",), ConfigError, "no CUDA device"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(tmp_path, overrides, error, says):
    with pytest.raises(error, match=says):
        run_smoke(tmp_path / "r", tmp_path / "c", *overrides)
    assert not (tmp_path / "r").exists()


def test_a_route_may_have_fewer_builds_than_the_run(tmp_path, smoke):
    result = run_smoke(
        tmp_path / "r", smoke[1], "fleet.builds=6", "routes.2.builds=4", "routes.1.builds=4"
    )
    releases = {release.name: release for release in result.summary.releases}
    assert releases["plain"].builds_planned == 6
    assert releases["subset-4"].builds_planned == 4
    assert result.findings.get("membership.rmia.auc", "subset-4").n_builds == 4
    assert result.findings.get("membership.rmia.auc", "plain").n_builds == 6
    # The first pairs of the plan, under the commitment to the whole of it.
    assert verify(export(tmp_path / "r", tmp_path / "evidence"), progress=Silent()).holds


def test_the_epsilon_that_is_seen_stands_beside_the_claimed_one(smoke):
    _, _, result = smoke
    found = {(f.id, f.release): f for f in result.findings.findings}
    for release in ("plain", "dpsgd-eps8"):
        seen = found["membership.rmia.epsilon_seen", release]
        ceiling = float(seen.method.rpartition(" ")[2])
        assert 0 <= seen.value <= ceiling
        assert seen.low is None
        assert "no bound on the mechanism" in seen.method
    claimed = found["privacy.epsilon", "dpsgd-eps8"]
    assert found["membership.rmia.epsilon_seen", "dpsgd-eps8"].value < claimed.value
    assert "at delta 0.001" in found["membership.rmia.epsilon_seen", "dpsgd-eps8"].method


def test_the_japanese_page_of_a_run_is_japanese(smoke, tmp_path):
    run = Path(shutil.copytree(smoke[0], tmp_path / "run"))
    brought = (
        "Optical Recognition of Handwritten Digits",
        "Alpaydin and Kaynak",
        "as in scikit",
        "Smoke test on",
    )
    assert english_in(run, *brought) == []
