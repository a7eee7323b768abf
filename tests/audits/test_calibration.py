"""The check of calibration, against sklearn and by hand."""

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import brier_score_loss

from sudare.audits.checks.calibration import (
    CalibrationCheckConfig,
    _scaled,
    _where_sure,
    squared_errors,
)
from sudare.audits.verify import export, verify
from sudare.core.progress import Silent
from sudare.report import write_report

from .conftest import english_in, run_smoke


def test_the_brier_score_is_sklearns():
    rng = np.random.default_rng(0)
    share = rng.random(200)
    labels = (rng.random(200) < share).astype(np.int64)
    brier = squared_errors(np.stack([1 - share, share], axis=1), labels).mean()
    # sklearn counts one of two classes.
    assert brier == pytest.approx(2 * brier_score_loss(labels, share))


def test_errors_go_from_certain_and_right_to_certain_and_wrong():
    posterior = np.array([[[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]])
    assert squared_errors(posterior, np.zeros(3, dtype=np.int64)).tolist() == [[0.0, 2.0, 0.5]]


def test_a_confidence_is_a_share():
    assert CalibrationCheckConfig(sure=(0.9, 0.5, 0.9)).sure == (0.5, 0.9)
    with pytest.raises(ValidationError, match="between 0 and 1"):
        CalibrationCheckConfig(sure=(0.5, 1.0))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    base = tmp_path_factory.mktemp("calibration")
    checks = '[{kind = "calibration", sure = [0.5, 0.999]}]'
    return base / "run", run_smoke(base / "run", base / "cache", f"checks={checks}")


def test_every_release_has_figures_a_row_and_words(run):
    folder, result = run
    found = {(f.id, f.release): f for f in result.findings.findings}
    for release in ("plain", "dpsgd-eps8", "subset-4"):
        brier = found["calibration.brier", release]
        assert 0 < brier.value < 2
        assert brier.low <= brier.value <= brier.high
        sure = found["calibration.sure@0.5", release].value
        assert sure >= found["calibration.sure@0.999", release].value
        told = found["calibration.accuracy@0.5", release]
        assert told.value is None or told.value > found["utility.accuracy", release].value - 0.05
    for path in (write_report(folder).internal, write_report(folder).public):
        text = path.read_text()
        assert 'id="calibration"' in text
        assert "Right where 50 % sure" in text
        assert "Accuracy of answers with a confidence of 50 % or more" in text
    source = ("Optical Recognition of Handwritten Digits", "Alpaydin and Kaynak", "as in scikit")
    assert english_in(folder, *source, "Smoke test on") == []


def test_it_is_computed_again_from_the_evidence(run, tmp_path):
    folder, _ = run
    assert verify(export(folder, tmp_path / "evidence"), progress=Silent()).holds


def test_intervals_count_test_images_too():
    """Builds that answer alike know no more of the next image than one does."""
    rng = np.random.default_rng(0)
    alike = np.repeat((rng.random(40) < 0.8)[None, None], 8, axis=0)
    told = _where_sure(np.ones((8, 1, 40), dtype=bool), alike)
    assert told.high - told.low > 0.1
    scaled = _scaled(alike.mean(axis=1) * 2.0, 0.0, 2.0)
    assert scaled.value == pytest.approx(2 * alike.mean())
    assert 0 <= scaled.low < scaled.value < scaled.high <= 2
