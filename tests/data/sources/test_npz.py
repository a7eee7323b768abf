import io
import zipfile

import numpy as np
import pytest

from sudare.core.errors import DataError
from sudare.data.sources import load_source
from tests.data.makers import noise


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.npz"


def plain(rng, n=12, **more):
    return {"images": noise(rng, n, 8, 8), "labels": np.arange(n) % 3} | more


def test_every_usual_layout_gives_the_same_images(path, rng):
    images = noise(rng, 12, 8, 8, 3)
    labels = np.arange(12) % 3
    last = load_source(save(path, images=images, labels=labels)).train.images
    first = load_source(save(path, images=images.transpose(0, 3, 1, 2), labels=labels)).train.images
    floats = load_source(save(path, images=images / 255, labels=labels)).train.images
    assert np.array_equal(last, images.transpose(0, 3, 1, 2))
    assert np.array_equal(first, last)
    assert np.array_equal(floats, last)


def test_grey_images_and_labels_get_numbered_class_names(path, rng):
    source = load_source(save(path, **plain(rng)))
    assert source.train.image_shape == (1, 8, 8)
    assert source.train.class_names == ("0", "1", "2")
    assert (source.name, source.test, source.splits) == ("mine", None, {"all": 12})


def test_units_groups_and_class_names_are_kept(path, rng):
    unit = np.array(["patient b", "patient a"] * 6)
    names = np.array(["x", "y", "z"])
    groups = np.arange(12) // 6 + 5
    data = load_source(save(path, **plain(rng, unit=unit, groups=groups, class_names=names))).train
    assert data.unit.tolist() == [1, 0] * 6
    assert data.groups.tolist() == [0] * 6 + [1] * 6
    assert data.group_names == ("5", "6")
    assert data.class_names == ("x", "y", "z")


def test_without_units_identical_images_are_one_unit(path, rng):
    arrays = plain(rng)
    arrays["images"][4] = arrays["images"][9]
    data = load_source(save(path, **arrays)).train
    assert data.unit[4] == data.unit[9]
    assert len(np.unique(data.unit)) == 11


def test_several_labels_an_image_are_kept(path, rng):
    labels = np.eye(4, dtype=bool)[np.arange(12) % 4] | np.eye(4, dtype=bool)[0]
    data = load_source(save(path, images=noise(rng, 12, 8, 8), labels=labels)).train
    assert data.multi_label
    assert data.n_classes == 4


def test_images_are_resized_on_request(path, rng):
    assert load_source(save(path, **plain(rng)), image_size=16).train.image_shape == (1, 16, 16)


NAN = np.zeros((12, 8, 8), dtype=np.float32)
NAN[5, 2, 2] = np.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": NAN}, "image 5 holds values that are not finite"),
        ({"images": np.full((12, 8, 8), 200.0)}, "image 0 holds values from 200 to 200"),
        ({"images": np.full((12, 8, 8), -0.5)}, "image 0 holds values from -0.5"),
        ({"images": np.zeros((12, 8, 8), dtype=np.int64)}, "images are int64"),
        ({"images": np.zeros((12, 64), dtype=np.uint8)}, "is none of images"),
        ({"images": np.zeros((12, 8, 8, 4), dtype=np.uint8)}, "is none of images"),
        ({"images": np.zeros((12, 3, 8, 3), dtype=np.uint8)}, "channels first or last"),
        ({"labels": np.zeros(11, dtype=np.int64)}, "labels has 11 rows for 12 images"),
        ({"labels": np.zeros(12)}, "labels are float64"),
        ({"labels": np.full(12, -1)}, "label -1 is negative"),
        ({"class_names": np.array(["only"])}, "label 1 is out of range for 1 classes"),
        ({"class_names": np.array([1, 2])}, "class_names are int64"),
        ({"unit": np.zeros(3, dtype=np.int64)}, "unit has 3 rows for 12 images"),
        ({"unit": np.zeros(12)}, "unit is float64"),
        ({"labels": np.array([None] * 12)}, "array 'labels' holds Python objects"),
    ],
)
def test_unusable_arrays_are_refused_with_file_and_reason(path, rng, change, message):
    with pytest.raises(DataError, match=message) as caught:
        load_source(save(path, **(plain(rng) | change)))
    assert caught.value.where.startswith(str(path))


def test_a_missing_array_is_named_and_what_is_there(path, rng):
    with pytest.raises(DataError, match=r"there is no array 'labels' .*It has: images, other"):
        load_source(save(path, images=noise(rng, 4, 8, 8), other=np.zeros(2)))


def test_a_header_that_promises_more_than_the_file_is_refused_before_memory_is_taken(path):
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        member, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 28, 28)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", member.getvalue())
        archive.writestr("labels.npy", member.getvalue())
    with pytest.raises(DataError, match="the header promises"):
        load_source(str(path))


def test_a_zip_bomb_is_refused_by_its_announced_size(path):
    # The directory of a zip file states each member's unpacked size; here it states 1 TiB.
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"")
        archive.getinfo("images.npy").file_size = 1 << 40
    with pytest.raises(DataError, match="unpacks to 1024 GiB"):
        load_source(str(path))


@pytest.mark.parametrize("cut", [10, 300])
def test_a_truncated_file_is_refused(path, rng, cut):
    save(path, **plain(rng))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match="the file cannot be read"):
        load_source(str(path))


def test_a_flipped_byte_in_the_pixels_is_noticed(path, rng):
    save(path, **plain(rng))
    content = bytearray(path.read_bytes())
    content[400] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="the file cannot be read"):
        load_source(str(path))


def test_a_label_larger_than_the_collection_is_refused_before_a_class_is_made_of_it(path, rng):
    with pytest.raises(DataError, match="label 1000000000000 is too large for 12 images"):
        load_source(save(path, **plain(rng) | {"labels": np.arange(12) * 10**12 // 11}))
