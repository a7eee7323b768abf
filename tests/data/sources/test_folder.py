import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sudare.core.errors import DataError
from sudare.data.sources import load_source
from tests.data.makers import noise, write_folder


@pytest.fixture
def root(tmp_path, rng):
    return write_folder(tmp_path / "pets", rng)


def load(root, **options):
    return load_source(str(root), **options)


def test_a_folder_of_classes_is_read_in_sorted_order(root):
    source = load(root)
    assert (source.name, source.test, source.splits) == ("pets", None, {"all": 8})
    assert source.train.class_names == ("cat", "dog")
    assert source.train.labels.tolist() == [0] * 4 + [1] * 4
    assert np.array_equal(source.train.images[5, 0], np.asarray(Image.open(root / "dog/1.png")))


def test_the_path_of_the_folder_is_not_part_of_what_is_reported(root):
    source = load(root)
    assert str(root.parent) not in source.source + source.name + source.licence


def test_rgb_is_channels_first(tmp_path, rng):
    root = write_folder(tmp_path / "pets", rng, mode="RGB")
    image = load(root).train.images[0]
    assert np.array_equal(image, np.asarray(Image.open(root / "cat/0.png")).transpose(2, 0, 1))


def test_hidden_files_and_folders_are_passed_over(root):
    (root / ".git").mkdir()
    (root / "cat" / ".DS_Store").write_bytes(b"x")
    (root / "cat" / "Thumbs.db").write_bytes(b"x")
    (root / "readme.txt").write_text("about")
    assert len(load(root).train) == 8


def test_exif_orientation_turns_the_image_upright(tmp_path, rng):
    root = write_folder(tmp_path / "pets", rng, size=(12, 20))
    lying = Image.fromarray(noise(rng, 20, 12))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(root / "cat" / "9.png", exif=exif)
    # Orientation 6: rows run from right to left, so upright is a quarter turn clockwise.
    read = load(root).train
    assert np.array_equal(read.images[4, 0], np.rot90(np.asarray(lying), -1))


def test_resizing_cuts_the_centred_square(tmp_path, rng):
    root = write_folder(tmp_path / "pets", rng, size=(10, 30))
    pixels = np.zeros((10, 30), dtype=np.uint8)
    pixels[:, 10:20] = 255
    Image.fromarray(pixels).save(root / "cat" / "0.png")
    data = load(root, image_size=5).train
    assert data.image_shape == (1, 5, 5)
    # Squeezed instead of cut, two thirds of the picture would be black.
    assert (data.images[0] > 200).all()


def test_large_jpegs_are_resized_as_the_full_decode_would_be(tmp_path, rng):
    root = write_folder(tmp_path / "pets", rng)
    ramp = np.add.outer(np.arange(512), np.arange(512)) // 4
    Image.fromarray(ramp.astype(np.uint8)).save(root / "cat" / "0.jpg", quality=95)
    whole = np.asarray(Image.open(root / "cat/0.jpg"), dtype=float)
    oracle = whole.reshape(16, 32, 16, 32).mean(axis=(1, 3))
    read = load(root, image_size=16).train.images[0, 0]
    assert np.abs(read - oracle)[1:-1, 1:-1].max() < 4


def test_mixed_sizes_are_refused_with_the_file_unless_resized(root, rng):
    Image.fromarray(noise(rng, 14, 12)).save(root / "dog" / "0.png")
    with pytest.raises(DataError, match="12 x 14 pixels, others are 12 x 12") as caught:
        load(root)
    assert caught.value.where == str(root / "dog" / "0.png")
    assert load(root, image_size=8).train.image_shape == (1, 8, 8)


def test_a_colour_image_among_grey_ones_is_refused(root, rng):
    Image.fromarray(noise(rng, 12, 12, 3)).save(root / "dog" / "2.png")
    with pytest.raises(DataError, match="a colour image is among grey ones") as caught:
        load(root)
    assert caught.value.where == str(root / "dog" / "2.png")


def test_grey_images_stored_as_rgb_may_stand_among_grey_ones(root, rng):
    grey = noise(rng, 12, 12)
    Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2)).save(root / "dog" / "2.png")
    assert np.array_equal(load(root).train.images[6, 0], grey)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content[: len(content) // 2], "the image cannot be read"),
        (lambda content: b"not an image", "the image cannot be read"),
        (lambda content: b"", "the image cannot be read"),
        (lambda content: content[:60] + b"\xff" * 8 + content[68:], "the image cannot be read"),
    ],
)
def test_a_broken_image_is_named(root, spoil, message):
    path = root / "dog" / "3.png"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        load(root)
    assert caught.value.where == str(path)


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(root, side):
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path = root / "cat" / "bomb.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match="unpacks to more than 64 million pixels") as caught:
        load(root, image_size=8)
    assert caught.value.where == str(path)


def test_another_format_under_a_png_name_is_refused(root):
    Image.fromarray(np.zeros((12, 12), dtype=np.uint8)).save(root / "x.gif")
    (root / "x.gif").rename(root / "cat" / "x.png")
    with pytest.raises(DataError, match="the image cannot be read"):
        load(root)


def test_sixteen_bits_a_channel_are_refused(root):
    Image.fromarray(np.zeros((12, 12), dtype=np.uint16)).save(root / "cat" / "16.png")
    with pytest.raises(DataError, match="pixels of type I;16, not 8 bits a channel"):
        load(root)


def test_transparency_is_refused_and_an_opaque_alpha_channel_is_not(tmp_path, rng):
    root = write_folder(tmp_path / "pets", rng, mode="RGB")
    pixels = noise(rng, 12, 12, 4)
    pixels[:, :, 3] = 255
    Image.fromarray(pixels).save(root / "cat" / "0.png")
    assert np.array_equal(load(root).train.images[0], pixels[:, :, :3].transpose(2, 0, 1))
    pixels[0, 0, 3] = 0
    Image.fromarray(pixels).save(root / "cat" / "0.png")
    with pytest.raises(DataError, match="partly transparent"):
        load(root)


def test_a_class_of_three_images_is_refused(root):
    (root / "dog" / "0.png").unlink()
    with pytest.raises(DataError, match="class 'dog' has 3 images, fewer than 4"):
        load(root)


def test_an_empty_class_folder_is_refused(root):
    (root / "emu").mkdir()
    with pytest.raises(DataError, match="class 'emu' has 0 images"):
        load(root)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="the folder has no class folders"):
        load(tmp_path)


def test_other_files_in_a_class_folder_are_refused_not_dropped(root):
    (root / "cat" / "scan.tiff").write_bytes(b"II*\0")
    with pytest.raises(DataError, match=r"scan\.tiff is not PNG or JPEG"):
        load(root)


def test_folders_inside_a_class_are_refused(root):
    (root / "cat" / "patient 1").mkdir()
    with pytest.raises(DataError, match="a folder inside a class"):
        load(root)
