"""Folders as people have them: every one of these was once refused, lost or read wrongly."""

import struct
import unicodedata
import zlib

import numpy as np
import pytest
from PIL import Image

from sudare.core.errors import DataError
from sudare.data.describe import describe
from sudare.data.duplicates import NEAR_RMS, near_rms, record_clusters
from sudare.data.sources import Source, load_source
from sudare.data.splits import SplitSizes, make_split
from tests.data.makers import dataset, noise


def collection(place, rng, classes=("a", "b"), each=5):
    for name in classes:
        (place / name).mkdir(parents=True)
        for number in range(each):
            Image.fromarray(noise(rng, 8, 8)).save(place / name / f"{number}.png")
    return place


def table(place, header, row):
    files = sorted(p.relative_to(place).as_posix() for p in place.rglob("*.png"))
    lines = [",".join(header), *(",".join(row(i, f)) for i, f in enumerate(files))]
    (place / "metadata.csv").write_text("\n".join(lines))


def test_numbered_class_folders_are_in_natural_order(tmp_path, rng):
    names = [str(number) for number in range(12)]
    read = load_source(str(collection(tmp_path / "x", rng, classes=names))).train
    assert read.class_names == tuple(names)


def test_litter_of_file_servers_is_passed_over(tmp_path, rng):
    place = collection(tmp_path / "x", rng)
    for name in ("@eaDir", "lost+found", "#recycle", "$RECYCLE.BIN"):
        (place / name).mkdir()
        (place / "a" / name).mkdir()
        (place / "a" / name / "x.txt").write_text("thumbnail")
    (place / "a" / "Icon\r").write_text("")
    assert load_source(str(place)).train.class_names == ("a", "b")


def test_capital_headers_count(tmp_path, rng):
    place = collection(tmp_path / "x", rng)
    splits = ["train", "train", "train", "train", "test"]
    table(
        place,
        ("File", "Unit", "Split", "Group", "Scanner"),
        lambda i, f: (f, f"p{i}", splits[i % 5], "x", "A"),
    )
    source = load_source(str(place))
    assert len(source.test) == 2
    assert len(source.train) == 8
    assert source.train.group_names == ("x",)
    assert "Scanner" in source.train.attributes


def test_numbers_too_long_for_a_machine_are_an_attribute(tmp_path, rng):
    place = collection(tmp_path / "x", rng)
    table(place, ("file", "accession"), lambda i, f: (f, f"{10**21 + i % 3}"))
    assert len(np.unique(load_source(str(place)).train.attributes["accession"])) == 3


def test_silos_keep_their_names_in_natural_order(tmp_path, rng):
    place = collection(tmp_path / "x", rng)
    names = ("10", "9", "2", "10", "9")
    table(place, ("file", "silo"), lambda i, f: (f, names[i % 5]))
    read = load_source(str(place)).train
    assert read.silo_names == ("2", "9", "10")
    assert [read.silo_names[number] for number in read.silo[:5]] == list(names)
    assert read[3:5].silo_names == read.silo_names


def test_the_layout_train_val_test_is_read_as_splits(tmp_path, rng):
    for part in ("train", "valid", "Test"):
        collection(tmp_path / "x" / part, rng)
    source = load_source(str(tmp_path / "x"))
    assert source.train.class_names == ("a", "b")
    assert (len(source.train), len(source.test)) == (20, 10)


def test_classes_that_happen_to_be_called_train_stay_classes(tmp_path, rng):
    read = load_source(str(collection(tmp_path / "x", rng, classes=("test", "train")))).train
    assert read.class_names == ("test", "train")


def test_a_class_that_is_a_dead_link_is_named(tmp_path, rng):
    place = collection(tmp_path / "x", rng)
    (place / "c").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="'c' is a link to nowhere"):
        load_source(str(place))


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (0, 1), (4, 2), (6, 4)])
def test_sixteen_bits_a_channel_are_refused_in_every_form(tmp_path, rng, kind, channels):
    """Pillow calls 16-bit colour RGB and cuts it to nearly black."""
    place = collection(tmp_path / "x", rng)
    rows = b"".join(b"\0" + bytes(2 * channels * 8) for _ in range(8))

    def chunk(name, content):
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    (place / "a" / "0.png").write_bytes(png)
    with pytest.raises(DataError, match="8 bits a channel"):
        load_source(str(place))


def test_a_damaged_orientation_does_not_hide_a_picture(tmp_path, rng):
    place = collection(tmp_path / "x", rng)
    picture = Image.fromarray(noise(rng, 8, 8))
    exif = (
        b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\x01\x1a\0\x05\0\0\0\x01"
    )
    picture.save(place / "a" / "9.jpg", exif=exif)
    assert len(load_source(str(place)).train) == 11


def test_dark_pictures_are_told_apart_by_their_own_contrast(rng):
    dark = rng.integers(0, 12, size=(200, 1, 8, 8), dtype=np.uint8)
    assert near_rms(dark) < NEAR_RMS / 4
    assert near_rms(noise(rng, 200, 1, 8, 8)) == NEAR_RMS
    split = make_split(
        dataset(dark), None, sizes=SplitSizes(pool=120, public=0, population=40, test=40), seed=0
    )
    assert len(np.unique(split.pool.unit)) == len(split.pool)
    assert len(split.test) == 40


def test_a_test_set_is_never_emptied_in_silence(rng):
    images = noise(rng, 40, 1, 8, 8)
    train = dataset(np.concatenate([images, noise(rng, 60, 1, 8, 8)]))
    test = dataset(images, unit=np.arange(1000, 1040))
    with pytest.raises(DataError, match="test images are nearly equal to images of the pool"):
        make_split(train, test, sizes=SplitSizes(pool=100, public=0, population=0, test=40), seed=0)


def test_images_beside_the_class_folders_are_named_and_not_passed_over(tmp_path, rng):
    place = collection(tmp_path / "x", rng)
    for number in range(3):
        Image.fromarray(noise(rng, 8, 8)).save(place / f"loose{number}.png")
    with pytest.raises(DataError, match=r"3 images lie beside the class folders, such as 'loose0"):
        load_source(str(place))


def test_names_that_macos_stores_as_two_characters_are_those_of_the_table(tmp_path, rng):
    composed = "entzündet"
    apart = unicodedata.normalize("NFD", composed)
    place = collection(tmp_path / "x", rng, classes=(apart, "gesund"))
    table(
        place,
        ("file", "unit"),
        lambda i, file: (unicodedata.normalize("NFC", file), f"p{i}"),
    )
    source = load_source(str(place))
    assert source.train.class_names == (composed, "gesund")
    assert len(source.unit_names) == 10


def test_a_report_of_any_length_may_stand_in_a_cell(tmp_path, rng):
    place = collection(tmp_path / "x", rng)
    table(place, ("file", "unit", "report"), lambda i, file: (file, f"p{i}", "x" * 200_000))
    assert len(np.unique(load_source(str(place)).train.unit)) == 10


@pytest.mark.parametrize(
    ("ending", "cure"),
    [
        ("tif", "as PNG"),
        ("webp", "as PNG"),
        ("dcm", "DICOM as 8-bit PNG"),
        ("json", "metadata.csv"),
    ],
)
def test_the_cure_for_another_file_is_by_its_ending(tmp_path, rng, ending, cure):
    place = collection(tmp_path / "x", rng)
    (place / "a" / f"z.{ending}").write_bytes(b"junk")
    with pytest.raises(DataError, match=cure):
        load_source(str(place))


def test_dark_records_that_differ_are_no_duplicates(rng):
    """A fixed number of grey levels took all of them for one."""
    dark = rng.integers(0, 6, size=(60, 1, 8, 8)).astype(np.uint8)
    assert len(np.unique(record_clusters(dark))) == 60
    assert len(np.unique(record_clusters(np.concatenate([dark, dark])))) == 60


def test_a_description_counts_near_duplicates_by_contrast_and_says_what_nets_take(rng):
    dark = rng.integers(0, 6, size=(60, 1, 6, 6)).astype(np.uint8)
    whole = dataset(dark, np.arange(60) % 2, np.arange(60), 2)
    found = describe(Source(train=whole, test=None, name="x", licence="x", source="x"))
    assert found.near_copies == 0
    assert any("8 to 128 pixels a side and these have 6 x 6" in note for note in found.notes)
