import numpy as np
import pytest
import torch

from sudare import nets
from sudare.attacks.boundary import BoundaryDistance
from sudare.attacks.nearest_neighbour import NearestFeatures, NearestPixels
from sudare.attacks.registry import make_test
from sudare.core.scores import Scale, ScoreTable
from sudare.core.threats import ThreatModel
from sudare.data.plan import draw_plan
from sudare.metrics import auc
from sudare.releases.kinds import LabelsView, SetView

SHAPE = (1, 8, 8)


class Counting:
    """Answers by a plane through pixel space, and counts the questions about each image."""

    def __init__(self, normal, offset):
        self.normal, self.offset = normal, offset
        self.questions = 0

    def labels(self, images):
        assert images.dtype == np.uint8
        self.questions += len(images)
        return (images.reshape(len(images), -1) / 255 @ self.normal > self.offset).astype(int)


def plane(n=40, seed=0):
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=64)
    normal /= np.linalg.norm(normal)
    images = rng.integers(60, 196, size=(n, *SHAPE), dtype=np.uint8)
    at = images.reshape(n, -1) / 255 @ normal
    offset = float(np.median(at))
    return Counting(normal, offset), images, (at > offset).astype(int), np.abs(at - offset)


def test_the_distance_to_a_plane_is_found_within_the_budget():
    view, images, labels, truth = plane()
    found = BoundaryDistance(budget=400).measure(view, images, labels, seed=0)[:, 0]
    # What is found is on the other side: never nearer than the plane, but for half a level.
    assert (found > truth - 0.02).all()
    assert np.median(found / truth) < 1.35
    assert np.corrcoef(found, truth)[0, 1] > 0.9
    assert view.questions <= 400 * len(images)


def test_more_questions_find_a_nearer_boundary():
    view, images, labels, truth = plane()
    near, far = (
        BoundaryDistance(budget=budget).measure(view, images, labels, seed=0)[:, 0]
        for budget in (1000, 60)
    )
    assert np.median(near / truth) < np.median(far / truth)


def test_a_wrong_answer_is_at_distance_zero_and_no_other_answer_at_the_largest():
    view, images, labels, _ = plane()
    wrong = BoundaryDistance(budget=40).measure(view, images, 1 - labels, seed=0)
    assert (wrong == 0).all()
    view.offset = np.inf
    stuck = BoundaryDistance(budget=40).measure(view, images, np.zeros(40, dtype=int), seed=0)
    assert np.allclose(stuck, 8)
    assert view.questions <= 2 * 40 * 40


def test_the_budget_is_kept_whatever_it_is():
    for budget in (20, 33, 150):
        view, images, labels, _ = plane(8)
        BoundaryDistance(budget=budget).measure(view, images[:1], labels[:1], seed=0)
        assert view.questions <= budget


def test_a_labels_view_cannot_be_asked_for_scores():
    net = nets.build(nets.NetConfig(name="mlp", width=8), image_shape=SHAPE, n_classes=2, seed=0)
    view = LabelsView(net, "cpu")
    images = np.random.default_rng(0).integers(0, 256, size=(6, *SHAPE), dtype=np.uint8)
    found = BoundaryDistance(budget=60).measure(view, images, view.labels(images), seed=0)
    assert (found > 0).all()
    assert not hasattr(view, "logits")


def test_a_released_image_is_at_distance_zero_in_both_spaces():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(30, 1, 8, 8), dtype=np.uint8)
    view = SetView(images[:5], np.eye(5, dtype=np.float32))
    for signal in (NearestPixels(), NearestFeatures()):
        found = signal.measure(view, images, np.zeros(30, dtype=int), seed=0)
        assert found.shape == (30, 1)
        assert (found[:5] == 0).all()
        assert (found[5:] > 0).all()


def distances(effect, seed=0, builds=8, images=300):
    rng = np.random.default_rng(seed)
    units = np.arange(images)
    plan = draw_plan(units, units % 2, builds=builds, seed=seed)
    hard = 5 + 2 * rng.normal(size=images)
    values = hard + 0.5 * rng.normal(size=(builds, images)) + effect * plan.membership
    return ScoreTable(
        signals={"boundary": values[:, :, None].astype(np.float32)},
        scales={"boundary": Scale.DISTANCE},
        membership=plan.membership,
        complement=plan.complement,
        units=units,
        labels=units % 2,
    )


def test_calibration_takes_out_what_makes_an_image_far_for_everybody():
    table = distances(0.6)
    plain, calibrated = (
        auc(make_test(name, {}).scores(table), table.membership)
        for name in ("boundary", "boundary_calibrated")
    )
    assert calibrated > 0.75 > 0.6 > plain > 0.5


@pytest.mark.parametrize("name", ["boundary", "boundary_calibrated"])
def test_no_effect_gives_half(name):
    values = [
        auc(make_test(name, {}).scores(table), table.membership)
        for table in (distances(0.0, seed) for seed in range(8))
    ]
    assert np.mean(values) == pytest.approx(0.5, abs=0.01)


def test_nearest_tests_turn_the_sign():
    table = distances(-0.6)
    for name in ("nearest", "nearest_calibrated"):
        test = make_test(name, {"signal": "boundary"})
        assert auc(test.scores(table), table.membership) > 0.5
        assert test.sees is ThreatModel.SAMPLES_SET
    assert "gives no signal 'nearest_pixels'" in make_test("nearest", {}).attackable(table)


def test_numbers_do_not_depend_on_torch_threads():
    images = np.random.default_rng(0).integers(0, 256, size=(20, 1, 8, 8), dtype=np.uint8)
    view = SetView(images[:4], np.eye(4, dtype=np.float32))
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(NearestFeatures().measure(view, images, np.zeros(20, dtype=int), seed=0))
    finally:
        torch.set_num_threads(threads)
    assert np.allclose(*found, rtol=1e-5, atol=1e-5)
