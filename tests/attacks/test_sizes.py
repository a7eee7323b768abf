"""Images of 128 pixels in colour go through attacks that hold no whole pool as real numbers."""

import tracemalloc

import numpy as np
import pytest

from sudare.attacks.boundary import BoundaryDistance
from sudare.attacks.nearest_neighbour import NearestPixels
from sudare.audits.checks.covariates import _thumbnails
from sudare.data.images import ImageDataset
from sudare.releases.kinds import SetView


class ByMean:
    """Answers by how bright an image is."""

    def labels(self, images):
        return (images.reshape(len(images), -1).mean(axis=1) > 127).astype(np.int64)


def colour(n, size=128, seed=0):
    rng = np.random.default_rng(seed)
    level = np.where(np.arange(n) % 2, 190, 60)[:, None, None, None]
    noise = rng.integers(-40, 40, size=(n, 3, size, size))
    return (level + noise).clip(0, 255).astype(np.uint8)


def peak_mb(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_the_search_for_the_boundary_fits_in_memory():
    """64 images of this size took 5 GB to start and 3 GB a step."""
    images = colour(64)
    signal = BoundaryDistance(budget=60)
    found = []
    used = peak_mb(
        lambda: found.append(
            signal.measure(ByMean(), images, np.arange(64, dtype=np.int64) % 2, seed=0)
        )
    )
    assert used < 1800
    assert (found[0] > 0).all()


def test_parts_of_the_search_change_nothing(monkeypatch):
    images, labels = colour(20, size=16), np.arange(20, dtype=np.int64) % 2
    whole = BoundaryDistance(budget=120).measure(ByMean(), images, labels, seed=0)
    monkeypatch.setattr("sudare.attacks.boundary._MOST_VALUES", 3 * 20 * 768)
    parts = BoundaryDistance(budget=120).measure(ByMean(), images, labels, seed=0)
    np.testing.assert_array_equal(whole, parts)


def test_blocks_of_the_nearest_search_change_nothing(monkeypatch):
    images, released = colour(30, size=16), colour(10, size=16, seed=1)
    view = SetView(released, np.full((10, 2), 0.5, dtype=np.float32))
    labels = np.zeros(30, dtype=np.int64)
    whole = NearestPixels().measure(view, images, labels, seed=0)
    monkeypatch.setattr("sudare.attacks.nearest_neighbour._MOST_VALUES", 7 * 768)
    np.testing.assert_allclose(NearestPixels().measure(view, images, labels, seed=0), whole)


@pytest.mark.parametrize(("size", "side"), [(28, 28), (64, 64), (65, 32), (128, 64)])
def test_thumbnails_are_at_most_64_pixels_wide(size, side):
    images = colour(3, size=size)
    data = ImageDataset(
        images=images,
        labels=np.zeros(3, dtype=np.int64),
        class_names=("a", "b"),
        unit=np.arange(3),
    )
    small = _thumbnails(data)
    assert small.shape == (3, 3 * side * side)
    assert small.dtype == np.float32
    if size == 128:
        mean = images[0, 0, :2, :2].mean() / 255
        assert small[0, 0] == pytest.approx(mean, abs=1e-6)
