"""Unevenness between classes at matched accuracy, against cases with a known answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sudare.audits.checks import base
from sudare.audits.checks.fairness import (
    SHARES,
    FairnessCheck,
    amplification,
    amplified,
    recalls,
)
from sudare.audits.checks.fairness_config import FairnessCheckConfig
from sudare.core.errors import DataError
from sudare.core.progress import Silent
from sudare.data.images import ImageDataset
from sudare.data.sources import load_source
from sudare.nets import NetConfig, build
from sudare.training.recipe import Recipe

NET = NetConfig(width=16)


def two_classes(accuracy: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Recalls ``[..., 2]`` with these means and differences."""
    return np.stack([accuracy - gap / 2, accuracy + gap / 2], axis=-1)


def curve(offsets: list[float]) -> np.ndarray:
    """Plain classifiers whose gap is 0.6 less half their accuracy, and an offset a part."""
    accuracy = np.array([0.3, 0.5, 0.7, 0.9])
    return np.stack([two_classes(accuracy, 0.6 - accuracy / 2 + offset) for offset in offsets])


def test_amplification_is_the_gap_beyond_that_of_equal_accuracy() -> None:
    accuracy = np.array([0.4, 0.6, 0.8])
    release = two_classes(accuracy, 0.6 - accuracy / 2 + 0.1)
    found = amplification(release, curve([0.0, 0.0, 0.0]))
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))


def test_less_accuracy_alone_amplifies_nothing() -> None:
    poor = two_classes(np.array([0.32, 0.34]), 0.6 - np.array([0.32, 0.34]) / 2)
    assert amplification(poor, curve([0.0, 0.0])).value == pytest.approx(0.0)


@pytest.mark.parametrize("accuracy", [0.2, 0.95])
def test_what_no_plain_classifier_reaches_is_not_compared(accuracy: float) -> None:
    release = two_classes(np.array([accuracy, accuracy]), np.array([0.1, 0.1]))
    found = amplification(release, curve([0.0, 0.0]))
    assert found.value is None
    assert f"is {accuracy:.2f}, that of plain classifiers" in found.reason


def test_a_single_build_beyond_the_ends_is_held_against_the_end() -> None:
    release = two_classes(np.array([0.88, 0.92]), np.array([0.15, 0.15]))
    found = amplification(release, curve([0.0, 0.0]))
    assert found.value == pytest.approx(0.15 - (0.16 + 0.15) / 2)


def test_one_build_or_one_part_has_no_interval() -> None:
    release = two_classes(np.array([0.5, 0.6]), np.array([0.4, 0.4]))
    for few in (amplification(release[:1], curve([0.0, 0.1])), amplification(release, curve([0]))):
        assert few.value is not None
        assert few.low is None


def test_the_interval_counts_builds_and_random_parts() -> None:
    """Both vary; 95 % intervals of 1,000 drawn runs hold the truth about as often."""
    rng, held, runs = np.random.default_rng(0), 0, 1000
    for _ in range(runs):
        accuracy = rng.uniform(0.4, 0.8, 8)
        release = two_classes(accuracy, 0.6 - accuracy / 2 + 0.05 + rng.normal(0, 0.03, 8))
        found = amplification(release, curve(list(rng.normal(0, 0.02, 3))))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.05 <= found.high
    assert 0.93 <= held / runs <= 0.985


def test_recalls_by_hand() -> None:
    classes, answers = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert recalls((answers == classes).astype(float), classes).tolist() == [0.5, 1.0]


def test_test_images_add_to_the_doubt_of_amplification() -> None:
    rng, classes = np.random.default_rng(0), np.repeat([0, 1], 30)
    right = (rng.random((8, 60)) < 0.8).astype(float)
    plain = (rng.random((3, 5, 60)) < np.linspace(0.5, 0.95, 5)[:, None]).astype(float)
    found = amplified(right, plain, classes, rng=rng)
    alone = amplification(recalls(right, classes), recalls(plain, classes))
    assert found.value == alone.value
    assert found.high - found.low > alone.high - alone.low


@pytest.fixture(scope="module")
def digits() -> ImageDataset:
    return load_source("digits").train[:600]


def check(matched: int) -> FairnessCheck:
    recipe = Recipe(epochs=25, batch_size=16, lr=0.05)
    return FairnessCheck(FairnessCheckConfig(matched=matched, net=NET, recipe=recipe))


def given(population: ImageDataset) -> base.Preparation:
    return base.Preparation(
        public=population[:0],
        population=population,
        auxiliary=None,
        class_names=population.class_names,
        seed=0,
        device="cpu",
        progress=Silent(),
    )


def test_plain_classifiers_get_better_with_more_images(
    digits: ImageDataset, tmp_path: Path
) -> None:
    own = check(2)
    own.prepare(given(digits[:400]), tmp_path)
    pooled = tmp_path / "pooled"
    pooled.mkdir()
    images = base.Pooled(
        pool=digits[:0],
        population=digits[:0],
        test=digits[400:],
        prepared=tmp_path,
        device="cpu",
        progress=Silent(),
    )
    own.prepare_pool(images, pooled)
    unused: Any = None
    tested = base.CheckInput(
        release=unused,
        nets=(build(NET, image_shape=digits.image_shape, n_classes=10, seed=0).eval(),),
        pool=digits[:0],
        population=digits[:0],
        test=digits[400:],
        prepared=tmp_path,
        pooled=pooled,
        seed=0,
        device="cpu",
        progress=Silent(),
    )
    matched = own.measure(tested).arrays["matched"]
    assert matched.shape == (2, len(SHARES), 200)
    reached = (matched == tested.test.classes).mean(axis=(0, 2))
    assert reached[-1] > reached[0] + 0.3


def test_it_can_be_left_out_and_says_what_it_lacks(digits: ImageDataset, tmp_path: Path) -> None:
    assert not check(0).shares()
    assert check(3).shares()
    with pytest.raises(DataError, match="matched = 0"):
        check(3).prepare(given(digits[:30]), tmp_path)
