"""A route that the collection cannot feed is a row with its reason; the others go on."""

from sudare.core.decisions import Outcome
from sudare.core.findings import Status
from sudare.report import write_report
from tests.audits.conftest import run_smoke


def test_a_route_that_fails_leaves_the_others_standing(tmp_path):
    folder = tmp_path / "run"
    result = run_smoke(folder, tmp_path / "cache", "routes.2.images_per_class=500")
    assert result.summary.complete
    name = result.summary.releases[2].name
    found = result.findings.get("membership.rmia.auc", name)
    assert found.status is Status.FAILED
    assert "500" in found.reason
    assert result.decisions[name].outcome is Outcome.UNKNOWN
    assert result.findings.get("membership.rmia.auc", "plain").value is not None
    assert "was not built" in write_report(folder).internal.read_text()
