"""Under --null membership is redrawn for everything: no figure of membership is off chance."""

import re

from sudare.core.decisions import Outcome
from tests.audits.conftest import run_smoke

_CHECKS = 'checks=[{kind="outsider", shadows=2}, {kind="fairness", matched=0}]'


def test_every_check_is_controlled_as_attacks_are(tmp_path):
    result = run_smoke(tmp_path / "run", tmp_path / "cache", "audit.null=true", _CHECKS)
    assert all(finding.null_control for finding in result.findings.findings)
    seen = set()
    for finding in result.findings.findings:
        if re.search(r"\.auc$", finding.id) and not finding.group and finding.value is not None:
            seen.add(finding.id.partition(".")[0])
            # Corrected for the number of attacks: four builds of four hundred images.
            assert abs(finding.value - 0.5) < 0.08, finding.id
    assert {"membership", "outsider"} <= seen
    near = result.findings.get("copies.excess", "subset-4")
    assert near.low <= 0
    # A control decides nothing.
    assert {one.outcome for one in result.decisions.values()} == {Outcome.UNKNOWN}
