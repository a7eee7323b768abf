import numpy as np
import pytest

from sudare.core.errors import DataError
from sudare.data.sources import CATALOGUE, load_source
from tests.data.makers import noise


def write(path, rng, *, shape=(28, 28), classes=8, label_width=1, n=24):
    arrays = {}
    for split, count in (("train", n), ("val", n // 2), ("test", n // 2)):
        arrays[f"{split}_images"] = noise(rng, count, *shape)
        if label_width == 1:
            arrays[f"{split}_labels"] = (np.arange(count) % classes).astype(np.uint8)[:, None]
        else:
            arrays[f"{split}_labels"] = rng.integers(0, 2, (count, label_width)).astype(np.uint8)
    np.savez(path, **arrays)
    return str(path)


def test_a_file_with_an_official_name_gets_its_classes_and_licence(tmp_path, rng):
    source = load_source(write(tmp_path / "bloodmnist.npz", rng, shape=(28, 28, 3)))
    assert source.train.class_names[0] == "basophil"
    assert source.licence == "CC BY 4.0"
    assert "MedMNIST v2, bloodmnist" in source.source
    assert source.train.image_shape == (3, 28, 28)


def test_train_and_validation_are_joined_and_test_is_apart(tmp_path, rng):
    source = load_source(write(tmp_path / "other.npz", rng))
    assert source.splits == {"train": 24, "val": 12, "test": 12}
    assert (len(source.train), len(source.test)) == (36, 12)
    assert source.train.class_names == tuple("01234567")
    assert not np.intersect1d(source.train.unit, source.test.unit).size


def test_larger_sizes_of_an_official_set_are_known_too(tmp_path, rng):
    source = load_source(write(tmp_path / "dermamnist_64.npz", rng, shape=(64, 64, 3), classes=7))
    assert source.licence == "CC BY-NC 4.0"


def test_chestmnist_keeps_several_labels_an_image(tmp_path, rng):
    source = load_source(write(tmp_path / "chestmnist.npz", rng, label_width=14))
    assert source.train.multi_label
    assert source.train.class_names[-1] == "hernia"


def test_volumes_are_refused(tmp_path, rng):
    with pytest.raises(DataError, match=r"shape \(24, 28, 28, 28\) is none of images"):
        load_source(write(tmp_path / "organmnist3d.npz", rng, shape=(28, 28, 28)))


def test_labels_out_of_range_for_an_official_set_are_refused(tmp_path, rng):
    with pytest.raises(DataError, match="is out of range for 2 classes"):
        load_source(write(tmp_path / "breastmnist.npz", rng, classes=3))


def test_every_download_has_a_checksum():
    for entry in CATALOGUE.values():
        for remote in entry.remotes:
            assert len(remote.md5) == 32
            assert int(remote.md5, 16)


def test_checksums_are_not_repeated():
    checksums = [remote.md5 for entry in CATALOGUE.values() for remote in entry.remotes]
    assert len(set(checksums)) == len(checksums)
