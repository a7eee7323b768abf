from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import altair as alt
import numpy as np
import pytest
from jsonschema.exceptions import ValidationError
from markupsafe import Markup

from sudare.core import ThreatModel
from sudare.core.runs import RocCurve
from sudare.report.blocks import Folded
from sudare.report.drawing import COLOURS, INK, MUTED, PAPER, looks
from sudare.report.load import load_run
from sudare.report.sections import evasion
from sudare.report.sections.classes import profiles
from sudare.report.sections.roc import resolved_from, roc_charts, sampled
from sudare.report.sections.tradeoff import key, tradeoff
from tests.report.conftest import PLANS, finding, write_run


def curve(fpr: tuple[float, ...], tpr: tuple[float, ...], release: str = "plain") -> RocCurve:
    return RocCurve(
        release=release,
        attack="membership.lira",
        threat_model=ThreatModel.CLASSIFIER_LOGITS,
        fpr=fpr,
        tpr=tpr,
    )


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("light", COLOURS)
def test_marks_stand_out_on_light_and_dark_paper(light: str):
    assert contrast(light, PAPER) >= 3
    assert contrast(COLOURS[light], "#171b17") >= 3


@pytest.mark.parametrize("colour", [INK, MUTED])
def test_chart_text_meets_wcag_aa(colour: str):
    assert contrast(colour, PAPER) >= 4.5


def test_fifty_six_releases_look_different_without_colour_alone():
    styles = looks({str(index): False for index in range(56)})
    assert len({(look.colour, look.shape) for look in styles.values()}) == 56


def test_every_mark_has_a_number_that_the_key_explains(run_folder: Path):
    run = load_run(run_folder)
    svg = str(tradeoff(run))
    assert [(number, label) for number, _, label in key(run)] == [
        (number, plan.label) for number, plan in enumerate(PLANS, start=1)
    ]
    assert all(f">{number}</text>" in svg for number, _, _ in key(run))
    assert ">coin flip<" in svg
    for chart in roc_charts(run):
        assert ">1</text>" in str(chart.svg)


def test_numbers_stay_the_release_s_own_where_some_have_no_figures(tmp_path: Path):
    run = load_run(write_run(tmp_path / "run"))
    fewer = tuple(f for f in run.findings if f.release != PLANS[0].name)
    svg = str(tradeoff(replace(run, findings=fewer)))
    assert ">1</text>" not in svg
    assert ">2</text>" in svg


def test_baselines_are_hollow_and_routes_are_filled(run_folder: Path):
    run = load_run(run_folder)
    assert run.is_baseline("plain")
    assert run.is_baseline("subset")
    assert not run.is_baseline("smoothing-neg")
    root = ET.fromstring(str(tradeoff(run)))
    hollow = [item for item in root.iter() if item.get("fill") == PAPER and item.get("stroke")]
    assert len(hollow) == 4


def test_tradeoff_is_absent_while_nothing_is_measured(tmp_path: Path):
    assert tradeoff(load_run(write_run(tmp_path / "run", finished=0))) is None


def test_every_attack_has_one_roc_chart_primary_first(run_folder: Path):
    names = [chart.attack for chart in roc_charts(load_run(run_folder))]
    assert names == ["LiRA, online", "RMIA, online", "Loss threshold"]


def test_roc_is_cut_at_the_lowest_measured_rate(run_folder: Path):
    run = load_run(run_folder)
    assert resolved_from(run, run.summary.roc[0]) == 0.01


def test_roc_without_rate_findings_is_cut_at_ten_pairs_per_false_alarm(tmp_path: Path):
    run = load_run(write_run(tmp_path / "run", finished=0))
    grid = tuple(np.arange(0, 1001) / 1000)
    assert resolved_from(run, curve(grid, grid)) == pytest.approx(0.01)


def test_roc_without_a_single_false_alarm_is_not_drawn(tmp_path: Path):
    run = load_run(write_run(tmp_path / "run", finished=0))
    assert resolved_from(run, curve((0.0,), (1.0,))) is None


def test_sampled_roc_is_the_best_tpr_at_or_below_each_rate():
    fpr, tpr = sampled(curve((0.0, 0.01, 0.02, 1.0), (0.0, 0.1, 0.3, 1.0)), 0.01)
    assert tpr[0] == 0.1
    assert tpr[np.searchsorted(fpr, 0.0195)] in {0.1, 0.3}
    assert tpr[-1] == 1.0


def test_sampled_roc_does_not_tell_how_many_images_there_were():
    few, _ = sampled(curve(tuple(np.arange(101) / 100), tuple(np.arange(101) / 100)), 0.01)
    many, _ = sampled(curve(tuple(np.arange(973) / 972), tuple(np.arange(973) / 972)), 0.01)
    np.testing.assert_array_equal(few, many)


def test_unsorted_tied_and_uneven_curves_are_sampled_alike():
    straight = sampled(curve((0.0, 0.1, 0.1, 1.0), (0.0, 0.2, 0.4, 1.0)), 0.1)
    twisted = sampled(curve((1.0, 0.1, 0.0, 0.1), (1.0, 0.4, 0.0, 0.2)), 0.1)
    np.testing.assert_array_equal(straight, twisted)
    np.testing.assert_array_equal(straight[1][0], 0.4)


def test_class_charts_show_the_classes_with_highest_leakage(run_folder: Path):
    drawn = profiles(load_run(run_folder))
    assert drawn is not None
    assert (len(drawn.charts), drawn.shown, drawn.count) == (6, 10, 10)


def test_class_charts_are_what_vega_lite_allows(run_folder: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[dict] = []
    monkeypatch.setattr(
        "sudare.report.sections.classes.draw", lambda spec, **_: drawn.append(spec) or Markup()
    )
    profiles(load_run(run_folder))
    for spec in drawn:
        alt.HConcatChart.from_dict(spec, validate=True)
    assert len(drawn) == 6
    wrong = {**drawn[0], "spacing": "wide"}
    with pytest.raises(ValidationError):
        alt.HConcatChart.from_dict(wrong, validate=True)


def test_ids_of_two_charts_never_meet(run_folder: Path):
    run = load_run(run_folder)
    charts = [tradeoff(run), *(item.svg for item in roc_charts(run))]
    ids = [item.get("id") for svg in charts for item in ET.fromstring(str(svg)).iter()]
    named = [name for name in ids if name]
    assert len(named) == len(set(named))


def test_chart_says_its_points_to_a_screen_reader(run_folder: Path):
    root = ET.fromstring(str(tradeoff(load_run(run_folder))))
    assert root.get("role") == "img"
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert "Plain classifier, AUC 0.61 (0.60 to 0.62)" in (title.text or "")


def test_accuracy_under_attack_is_drawn_over_the_size_of_the_change(tmp_path: Path):
    run = load_run(write_run(tmp_path / "run", plans=PLANS[:2]))
    assert evasion.sections(run) == []
    figures = {"evasion.clean.accuracy": 0.9, "evasion.autoattack.accuracy@2": 0.6}
    found = [
        finding(name, plan, value, 0.05) for plan in PLANS[:2] for name, value in figures.items()
    ]
    # A figure that could not be measured leaves a gap and no mark.
    found.append(finding("evasion.autoattack.accuracy@8", PLANS[0], 0.1, 0.05))
    tried = replace(run, findings=[*run.findings, *found])
    (section,) = evasion.sections(tried)
    (folded,) = (block for block in section.blocks if isinstance(block, Folded))
    charts, table = folded.blocks
    (chart,) = charts.charts
    root = ET.fromstring(chart.svg)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"0", "2", "8"} <= set(texts)
    assert "Accuracy after AutoAttack" in texts
    # Each line ends in its release's number.
    assert texts.count("1") >= 1
    assert [row[0].text for row in table.rows] == [plan.label for plan in PLANS[:2]]
