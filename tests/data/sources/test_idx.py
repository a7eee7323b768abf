import gzip
from pathlib import Path

import numpy as np
import pytest

from sudare.core.errors import DataError
from sudare.data.sources import load_source
from sudare.data.sources.idx import read_idx
from tests.data.makers import idx_bytes, noise, write_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.mark.skipif(not DEBIAN.exists(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_of_the_system_package_is_the_published_collection(tmp_path):
    fashion = load_source("fashion-mnist", cache=tmp_path)
    assert fashion.splits == {"train": 60000, "test": 10000}
    assert fashion.licence == "MIT"
    # Published: 7,000 images a class, 6,000 of them for training.
    assert np.bincount(fashion.train.labels).tolist() == [6000] * 10
    assert np.bincount(fashion.test.labels).tolist() == [1000] * 10
    # Published statistics of the training pixels: mean 0.2860, standard deviation 0.3530.
    assert fashion.train.images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
    assert fashion.train.images.std() / 255 == pytest.approx(0.3530, abs=1e-4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("packed", [True, False])
def test_the_files_of_a_given_folder_are_read_packed_or_not(tmp_path, rng, packed):
    arrays = write_idx(tmp_path / "files", rng, packed=packed)
    source = load_source(f"mnist:{tmp_path / 'files'}")
    assert source.name == "mnist"
    assert np.array_equal(source.train.images[:, 0], arrays["train-images-idx3-ubyte"])
    assert np.array_equal(source.test.labels, arrays["t10k-labels-idx1-ubyte"])
    assert not np.intersect1d(source.train.unit, source.test.unit).size


def test_a_folder_of_idx_files_needs_no_name(tmp_path, rng):
    write_idx(tmp_path / "letters", rng)
    source = load_source(str(tmp_path / "letters"))
    assert (source.name, source.train.class_names) == ("letters", tuple("0123456789"))


def test_a_picture_in_train_and_test_is_one_unit(tmp_path, rng):
    arrays = write_idx(tmp_path, rng, packed=False)
    images = arrays["t10k-images-idx3-ubyte"].copy()
    images[3] = arrays["train-images-idx3-ubyte"][7]
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(images))
    source = load_source(f"mnist:{tmp_path}")
    assert source.test.unit[3] == source.train.unit[7]
    assert len(np.intersect1d(source.train.unit, source.test.unit)) == 1


def test_a_missing_file_is_named(tmp_path, rng):
    write_idx(tmp_path, rng)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="there is no t10k-labels-idx1-ubyte"):
        load_source(f"mnist:{tmp_path}")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content[:-5], r"promises \d+ bytes and there are only"),
        (lambda content: content + b"x", r"promises \d+ bytes and there are more"),
        (lambda content: content[:3], "truncated or corrupt"),
        (lambda content: b"\0\0\x0d\x03" + content[4:], "does not begin as an IDX file"),
        (lambda content: b"\0\0\x08\x03" + b"\xff" * 12, "the header promises .* GiB"),
    ],
)
def test_a_spoiled_file_is_refused(tmp_path, rng, spoil, message):
    path = tmp_path / "images"
    path.write_bytes(spoil(idx_bytes(noise(rng, 3, 4, 4))))
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, dimensions=3)
    assert caught.value.where == str(path)


def test_a_truncated_packed_file_is_refused(tmp_path, rng):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx_bytes(noise(rng, 30, 4, 4)))[:-20])
    with pytest.raises(DataError, match="truncated or corrupt"):
        read_idx(path, dimensions=3)


def test_a_bomb_is_not_unpacked_beyond_its_header(tmp_path, rng):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx_bytes(noise(rng, 3, 4, 4)) + bytes(50_000_000)))
    with pytest.raises(DataError, match="promises 48 bytes and there are more"):
        read_idx(path, dimensions=3)


def test_images_and_labels_that_differ_in_number_are_refused(tmp_path, rng):
    write_idx(tmp_path, rng, packed=False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(noise(rng, 3)))
    with pytest.raises(DataError, match="20 images have 3 labels"):
        load_source(f"mnist:{tmp_path}")
