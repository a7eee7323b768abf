import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sudare.core.errors import DataError
from sudare.data.duplicates import NEAR_RMS, duplicate_clusters, exact_clusters, near_matches
from tests.data.makers import noise


@st.composite
def families(draw):
    """Images in families that differ by little, so that some pairs lie near the threshold."""
    shape = draw(st.sampled_from([(1, 3, 3), (3, 2, 4), (1, 5, 2)]))
    bases = draw(hnp.arrays(np.uint8, (draw(st.integers(1, 3)), *shape)))
    n = draw(st.integers(1, 9))
    family = draw(hnp.arrays(np.int64, n, elements=st.integers(0, len(bases) - 1)))
    change = draw(hnp.arrays(np.int64, (n, *shape), elements=st.integers(-9, 9)))
    return np.clip(bases[family].astype(np.int64) + change, 0, 255).astype(np.uint8)


def brute_force(images, reference, rms):
    """Exact in integers: which pairs differ by at most so many grey levels on average."""
    difference = images.astype(np.int64)[:, None] - reference.astype(np.int64)[None]
    return (difference**2).sum(axis=(2, 3, 4)) <= rms**2 * math.prod(images.shape[1:])


def partition(clusters):
    return {frozenset(np.flatnonzero(clusters == number).tolist()) for number in set(clusters)}


def linked(near):
    """Connected components by repeated squaring of the relation."""
    for _ in range(len(near)):
        near = near @ near
    return {frozenset(np.flatnonzero(row).tolist()) for row in near}


@given(families(), st.sampled_from([0.0, 2.0, NEAR_RMS, 10.0]))
def test_clusters_are_those_of_brute_force(images, rms):
    clusters = duplicate_clusters(images, rms=rms)
    assert partition(clusters) == linked(brute_force(images, images, rms))


@given(families(), st.integers(0, 8))
def test_near_matches_are_those_of_brute_force(images, cut):
    left, right = images[:cut], images[cut:]
    expected = brute_force(left, right, NEAR_RMS).any(axis=1)
    assert np.array_equal(near_matches(left, right, rms=NEAR_RMS), expected)


@given(families())
def test_exact_clusters_are_equality_numbered_by_first_appearance(images):
    clusters = exact_clusters(images)
    equal = (images[:, None] == images[None]).all(axis=(2, 3, 4))
    assert np.array_equal(clusters[:, None] == clusters[None], equal)
    firsts = [int(clusters[np.flatnonzero(row)[0]]) for row in equal]
    assert list(dict.fromkeys(firsts)) == list(range(len(set(firsts))))


def test_near_duplicates_are_found_across_blocks(rng):
    images = noise(rng, 2100, 1, 4, 4)
    images[2099] = images[3]
    clusters = duplicate_clusters(images)
    assert clusters[2099] == clusters[3]
    assert len(np.unique(clusters)) == 2099


@pytest.mark.parametrize("scene", ["noise", "one line", "all alike", "two heaps"])
def test_blocks_and_neighbours_leave_no_pair_out(scene, rng, monkeypatch):
    """Images are compared with their neighbours along a line only: none that is near is missed."""
    monkeypatch.setattr("sudare.data.duplicates._BLOCK", 7)
    monkeypatch.setattr("sudare.data.duplicates._REACHED", 5)
    monkeypatch.setattr("sudare.data.duplicates._SAMPLE", 9)
    images = noise(rng, 60, 1, 4, 4)
    if scene == "one line":
        images = np.broadcast_to(4 * np.arange(60)[:, None, None, None], images.shape)
    elif scene == "all alike":
        images = np.broadcast_to(images[:1], images.shape)
    elif scene == "two heaps":
        images = np.where(np.arange(60)[:, None, None, None] % 2, 250, 5) + images // 32
    images = rng.permutation(np.ascontiguousarray(images.astype(np.uint8)))
    near = brute_force(images, images, NEAR_RMS)
    assert partition(duplicate_clusters(images, rms=NEAR_RMS)) == linked(near)
    found = near_matches(images[:25], images[25:], rms=NEAR_RMS)
    assert np.array_equal(found, near[:25, 25:].any(axis=1))


def test_linkage_is_transitive():
    steps = np.arange(5, dtype=np.uint8)[:, None, None, None] * 4 + np.zeros((1, 6, 6), np.uint8)
    assert len(set(duplicate_clusters(steps, rms=NEAR_RMS))) == 1
    assert near_matches(steps[:1], steps[2:], rms=NEAR_RMS).tolist() == [False]
    # Pictures without contrast differ by any grey level, where nothing else is said.
    assert len(set(duplicate_clusters(steps))) == 5


def test_no_images_have_no_duplicates():
    empty = np.empty((0, 1, 4, 4), dtype=np.uint8)
    assert exact_clusters(empty).shape == (0,)
    assert near_matches(empty, empty).shape == (0,)


def test_images_of_different_shapes_are_not_compared(rng):
    with pytest.raises(DataError, match="cannot be compared"):
        near_matches(noise(rng, 2, 1, 4, 4), noise(rng, 2, 3, 4, 4))
