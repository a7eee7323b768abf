"""Two nets and two extractors of one route in one run: charts, orderings and gates go by name."""

import pytest

from sudare.core.runs import Verdict
from sudare.report import write_report
from sudare.report.load import load_run
from sudare.report.sections.orderings import Ranking, expectations

from .conftest import run_smoke

WIDE = 'net = {name = "mlp", width = 24}'
GAUSSIAN = 'kind = "features", model = {name = "gaussian", rank = 2}'
FILTERS = 'extractor = {name = "random-features", size_px = %d}'
ROUTES = f"""[
  {{kind = "plain"}},
  {{kind = "plain", name = "plain-wide", label = "Wide net", {WIDE}}},
  {{kind = "smoothing", alpha = 0.2, name = "wide+0.2", {WIDE}}},
  {{{GAUSSIAN}, {FILTERS % 16}}},
  {{{GAUSSIAN}, name = "gaussian-large", {FILTERS % 24}}},
]"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    base = tmp_path_factory.mktemp("variants")
    routes = ROUTES.replace("\n", " ")
    gate = 'audit.fail_on=["plain-wide: membership.rmia.auc > 0.99"]'
    return base / "run", run_smoke(base / "run", base / "cache", f"routes={routes}", gate)


def test_each_variant_has_figures_of_its_own(run):
    _, result = run
    names = [release.name for release in result.summary.releases]
    assert names == ["plain", "plain-wide", "wide+0.2", "gaussian-rank2", "gaussian-large"]
    aucs = {
        f.release: f.value
        for f in result.findings.findings
        if f.id == "membership.rmia.auc" and not f.group
    }
    assert set(aucs) == set(names)
    assert aucs["plain"] != aucs["plain-wide"]
    assert aucs["gaussian-rank2"] != aucs["gaussian-large"]
    (gate,) = result.summary.gates
    assert (gate.release, gate.verdict) == ("plain-wide", Verdict.PASS)


def test_the_page_tells_them_by_label(run):
    folder, _ = run
    page = write_report(folder).public.read_text()
    for label in ("Plain classifier", "Wide net", "Label smoothing +0.2 (wide+0.2)"):
        assert label in page
    assert "Feature Gaussian, rank 2 (gaussian-large)" in page


def test_an_order_is_expected_among_variants_of_one_net(run):
    found = [item for item in expectations(load_run(run[0])) if item.ranking is Ranking.SMOOTHING]
    assert [(item.lower.release, item.higher.release) for item in found] == [
        ("plain-wide", "wide+0.2")
    ]
