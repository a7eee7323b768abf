import numpy as np
import pytest

from sudare.core.errors import DataError
from sudare.data.duplicates import exact_clusters
from sudare.data.sources import load_source
from sudare.data.sources.bundled import check_sha256


@pytest.fixture(scope="module")
def pneumonia():
    return load_source("pneumonia")


def test_pneumonia_has_its_official_splits_with_validation_in_train(pneumonia):
    assert pneumonia.splits == {"train": 4708, "val": 524, "test": 624}
    assert (len(pneumonia.train), len(pneumonia.test)) == (5232, 624)
    assert pneumonia.train.image_shape == (1, 28, 28)
    assert pneumonia.train.class_names == ("normal", "pneumonia")
    # Published counts of the official splits (MedMNIST v2; Kermany et al. 2018).
    assert np.bincount(pneumonia.train.labels).tolist() == [1349, 3883]
    assert np.bincount(pneumonia.test.labels).tolist() == [234, 390]


def test_pneumonia_says_its_licence_and_authors(pneumonia):
    assert pneumonia.licence == "CC BY 4.0"
    assert "Yang et al. 2023" in pneumonia.source
    assert "Kermany et al. 2018" in pneumonia.source


def test_pneumonia_has_17_positive_and_1_negative_copies_in_its_official_train_split(pneumonia):
    official = pneumonia.train[:4708]
    clusters = exact_clusters(official.images)
    copy = np.ones(len(official), dtype=bool)
    copy[np.unique(clusters, return_index=True)[1]] = False
    assert np.bincount(official.labels[copy]).tolist() == [1, 17]
    assert np.array_equal(np.unique(official.unit), np.unique(clusters))


def test_units_of_train_and_test_are_apart_unless_the_picture_is_the_same(pneumonia):
    shared = np.intersect1d(pneumonia.train.unit, pneumonia.test.unit)
    pictures = {image.tobytes() for image in pneumonia.train.images}
    same = sum(image.tobytes() in pictures for image in pneumonia.test.images)
    assert int(np.isin(pneumonia.test.unit, shared).sum()) == same


def test_a_changed_file_in_the_package_is_refused(tmp_path):
    path = tmp_path / "pneumoniamnist.npz"
    path.write_bytes(b"changed")
    with pytest.raises(DataError, match=r"the packaged file has SHA-256 .*install sudare again"):
        check_sha256(path, "0" * 64)


def test_digits_span_all_grey_levels():
    from sklearn.datasets import load_digits

    digits = load_source("digits")
    assert digits.test is None
    assert digits.splits == {"train": 1797}
    assert digits.train.image_shape == (1, 8, 8)
    assert (digits.train.images.min(), digits.train.images.max()) == (0, 255)
    # 16 levels over 255: dividing back gives exactly what scikit-learn has.
    back = np.round(digits.train.images[:, 0] * (16 / 255))
    assert np.array_equal(back, load_digits().images)


def test_image_size_resizes_a_named_source():
    assert load_source("digits", image_size=28).train.image_shape == (1, 28, 28)
