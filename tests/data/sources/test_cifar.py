import numpy as np
import pytest

from sudare.core.errors import DataError
from sudare.data.sources import load_source
from tests.data.makers import cifar10_members, cifar100_members, noise, write_archive


def test_cifar10_is_read_in_the_order_of_its_batches(tmp_path, rng):
    members = cifar10_members(rng)
    path = write_archive(tmp_path / "cifar-10-binary.tar.gz", members)
    source = load_source(f"cifar10:{path}")
    assert source.splits == {"train": 50, "test": 10}
    assert source.train.image_shape == (3, 32, 32)
    assert source.train.class_names == tuple(f"thing {number}" for number in range(10))
    record = np.frombuffer(members["data_batch_2.bin"][:3073], dtype=np.uint8)
    # A label, then 1,024 red, green and blue values, row by row (the publisher's words).
    assert source.train.labels[10] == record[0]
    assert np.array_equal(source.train.images[10, 0].ravel(), record[1:1025])
    assert np.array_equal(source.train.images[10, 2].ravel(), record[2049:])


def test_an_archive_needs_no_name(tmp_path, rng):
    path = write_archive(tmp_path / "mine.tar.gz", cifar10_members(rng))
    assert load_source(str(path)).name == "cifar10"


def test_cifar100_keeps_coarse_labels_as_an_attribute(tmp_path, rng):
    path = write_archive(tmp_path / "cifar-100-binary.tar.gz", cifar100_members(rng))
    source = load_source(f"cifar100:{path}")
    assert source.train.n_classes == 100
    for part in (source.train, source.test):
        assert np.array_equal(part.attributes["coarse"], part.labels // 5)


def test_a_missing_batch_is_named_and_the_right_archive(tmp_path, rng):
    members = cifar10_members(rng)
    del members["data_batch_4.bin"]
    path = write_archive(tmp_path / "cifar.tar.gz", members)
    with pytest.raises(DataError, match=r"the archive has no data_batch_4\.bin.*binary version"):
        load_source(f"cifar10:{path}")


def test_the_pickled_version_is_refused_and_nothing_in_it_runs(tmp_path, rng):
    path = write_archive(tmp_path / "cifar.tar.gz", {"data_batch_1": b"cos\nsystem\n(S'ls'\ntR."})
    with pytest.raises(DataError, match="binary version"):
        load_source(f"cifar10:{path}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no whole number of images"),
        (b"x" * 3072, "no whole number of images"),
        (b"\x63" + b"x" * 3072, "label 99 is out of range"),
    ],
)
def test_a_batch_of_something_else_is_refused(tmp_path, rng, content, message):
    members = cifar10_members(rng) | {"test_batch.bin": content}
    path = write_archive(tmp_path / "cifar.tar.gz", members)
    with pytest.raises(DataError, match=message):
        load_source(f"cifar10:{path}")


def test_class_names_that_are_no_text_are_refused(tmp_path, rng):
    members = cifar10_members(rng) | {"batches.meta.txt": b"\xff\xfe"}
    path = write_archive(tmp_path / "cifar.tar.gz", members)
    with pytest.raises(DataError, match="no text"):
        load_source(f"cifar10:{path}")


def test_a_truncated_archive_is_refused(tmp_path, rng):
    path = write_archive(tmp_path / "cifar.tar.gz", cifar10_members(rng))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DataError, match="the archive cannot be read"):
        load_source(f"cifar10:{path}")


def test_an_archive_that_announces_too_much_is_refused_before_it_is_unpacked(tmp_path):
    import gzip
    import tarfile

    info = tarfile.TarInfo("folder/data_batch_1.bin")
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
