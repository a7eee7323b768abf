import numpy as np
import pytest

from sudare.core.errors import DataError
from sudare.data.describe import describe
from sudare.data.sources import Source, load_source
from sudare.data.sources.source import assemble
from tests.data.makers import dataset, noise


def source_of(rng):
    train, test = noise(rng, 20, 1, 6, 6), noise(rng, 10, 1, 6, 6)
    train[5] = train[3]
    train[8] = train[4]
    train[11] = train[1]
    train[11, 0, 0, 0] ^= 1
    test[2] = train[0]
    labels = np.arange(30, dtype=np.int64) % 2
    return assemble(
        {"train": (train, labels[:20]), "test": (test, labels[20:])},
        class_names=("even", "odd"),
        name="made",
        licence="none",
        source="made here",
        image_size=None,
    )


def test_counts_copies_conflicts_and_shared_pictures_are_those_planted(rng):
    source = source_of(rng)
    found = describe(source)
    assert found.splits == {"train": 20, "test": 10}
    assert found.image_shape == (1, 6, 6)
    assert found.parts["train"].images == (10, 10)
    assert found.parts["train"].exact_copies == (1, 1)
    assert found.parts["test"].exact_copies == (0, 0)
    assert found.test_in_train == 1
    assert found.near_copies == 1
    assert found.label_conflicts == 0
    assert found.units == 30 - 3


def test_identical_images_with_different_labels_are_a_conflict(rng):
    images = noise(rng, 8, 1, 6, 6)
    images[1] = images[0]
    images[5] = images[2] = images[3]
    data = dataset(images)
    source = Source(train=data, test=None, name="", licence="", source="", splits={"all": 8})
    assert describe(source).label_conflicts == 2


def test_near_duplicates_are_left_out_on_request(rng):
    assert describe(source_of(rng), near=False).near_copies is None


def test_images_of_several_labels_count_for_each(rng):
    labels = np.array([[True, True], [True, False], [False, False], [True, True]])
    source = assemble(
        {"train": (noise(rng, 4, 1, 4, 4), labels)},
        class_names=("a", "b"),
        name="",
        licence="",
        source="",
    )
    assert describe(source).parts["train"].images == (3, 2)


def test_pneumonia_has_the_copies_that_are_known():
    found = describe(load_source("pneumonia"), near=False)
    # 17 + 1 in the official training split, 8 more with or within the validation split.
    assert found.parts["train"].exact_copies == (1, 25)
    assert found.parts["test"].exact_copies == (0, 3)
    assert (found.test_in_train, found.label_conflicts) == (0, 0)


def test_a_source_whose_test_set_is_of_another_kind_is_refused(rng):
    one, other = dataset(noise(rng, 8, 1, 6, 6)), dataset(noise(rng, 8, 3, 6, 6))
    with pytest.raises(DataError, match=r"train has images of shape \(1, 6, 6\)"):
        Source(train=one, test=other, name="mixed", licence="", source="")
