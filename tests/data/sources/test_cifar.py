import pickle

import numpy as np
import pytest

from sudare.core.errors import DataError
from sudare.data.sources import load_source
from tests.data.makers import (
    cifar10_members,
    cifar100_members,
    noise,
    python2,
    python3,
    write_archive,
)


@pytest.mark.parametrize("write", [python2, python3])
def test_cifar10_is_read_in_the_order_of_its_batches(tmp_path, rng, write):
    members = cifar10_members(rng, write=write)
    path = write_archive(tmp_path / "cifar-10-python.tar.gz", members)
    source = load_source(f"cifar10:{path}")
    assert source.splits == {"train": 50, "test": 10}
    assert source.train.image_shape == (3, 32, 32)
    assert source.train.class_names == tuple(f"thing {number}" for number in range(10))
    batch = pickle.loads(members["data_batch_2"], encoding="bytes")
    pixels = batch[b"data" if write is python2 else "data"]
    # Rows hold 1,024 red, then green, then blue values, row by row (the publisher's words).
    assert np.array_equal(source.train.images[10, 0].ravel(), pixels[0, :1024])
    assert np.array_equal(source.train.images[10, 2].ravel(), pixels[0, 2048:])


def test_an_archive_needs_no_name(tmp_path, rng):
    path = write_archive(tmp_path / "mine.tar.gz", cifar10_members(rng))
    assert load_source(str(path)).name == "cifar10"


def test_cifar100_keeps_coarse_labels_as_an_attribute(tmp_path, rng):
    path = write_archive(tmp_path / "cifar-100-python.tar.gz", cifar100_members(rng))
    source = load_source(f"cifar100:{path}")
    assert source.train.n_classes == 100
    for part in (source.train, source.test):
        assert np.array_equal(part.attributes["coarse"], part.labels // 5)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_malicious_batch_is_refused_and_not_executed(tmp_path, rng):
    target = tmp_path / "executed"
    members = cifar10_members(rng) | {"data_batch_3": pickle.dumps(Malicious(target))}
    path = write_archive(tmp_path / "cifar.tar.gz", members)
    with pytest.raises(DataError, match=r"io\.open, which was not run") as caught:
        load_source(f"cifar10:{path}")
    assert caught.value.where == f"{path}: data_batch_3"
    assert not target.exists()


def test_a_missing_batch_is_named(tmp_path, rng):
    members = cifar10_members(rng)
    del members["data_batch_4"]
    path = write_archive(tmp_path / "cifar.tar.gz", members)
    with pytest.raises(DataError, match="the archive has no data_batch_4"):
        load_source(f"cifar10:{path}")


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"labels": [0]}, "a batch has no field 'data'"),
        ({"labels": [0], "data": [1, 2]}, "no images of 32 x 32 pixels"),
        ({"labels": ["0"], "data": np.zeros((1, 3072), dtype=np.uint8)}, "no list of whole"),
        ({"labels": [99], "data": np.zeros((1, 3072), dtype=np.uint8)}, "label 99 is out of range"),
    ],
)
def test_a_batch_of_something_else_is_refused(tmp_path, rng, batch, message):
    members = cifar10_members(rng) | {"test_batch": python2(batch)}
    path = write_archive(tmp_path / "cifar.tar.gz", members)
    with pytest.raises(DataError, match=message):
        load_source(f"cifar10:{path}")


def test_a_truncated_archive_is_refused(tmp_path, rng):
    path = write_archive(tmp_path / "cifar.tar.gz", cifar10_members(rng))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DataError, match="the archive cannot be read"):
        load_source(f"cifar10:{path}")


def test_an_archive_that_announces_too_much_is_refused_before_it_is_unpacked(tmp_path):
    import gzip
    import tarfile

    info = tarfile.TarInfo("folder/data_batch_1")
    info.size = 3 << 30
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf() + bytes(10240)))
    with pytest.raises(DataError, match="unpacks to more than 1 GiB"):
        load_source(f"cifar10:{path}")


def test_random_pixels_are_not_mistaken_for_duplicates(tmp_path, rng):
    path = write_archive(tmp_path / "cifar.tar.gz", cifar10_members(rng))
    source = load_source(f"cifar10:{path}")
    assert len(np.unique(source.train.unit)) == len(source.train) == 50
    assert noise(rng, 1).dtype == np.uint8
