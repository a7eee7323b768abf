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


def test_so_does_the_first_route_whose_builds_begin_while_checks_are_prepared(tmp_path):
    folder = tmp_path / "run"
    result = run_smoke(
        folder,
        tmp_path / "cache",
        'routes=[{kind="subset", images_per_class=500}, {kind="plain", net={name="mlp", width=8}, '
        "recipe={epochs=2}}]",
        'checks=[{kind="fairness", matched=2, recipe={epochs=1}}]',
        "fleet.workers=2",
    )
    first, second = result.summary.releases
    assert result.findings.get("membership.rmia.auc", first.name).status is Status.FAILED
    assert result.findings.get("membership.rmia.auc", second.name).value is not None
    assert result.findings.get("fairness.worst_class", second.name) is not None
