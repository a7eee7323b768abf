import numpy as np
import pytest

from sudare.core.errors import DataError
from sudare.data.pictures import contact_sheet
from sudare.data.sources import load_source
from tests.data.makers import dataset, noise


def test_every_tile_is_an_image_of_its_class_enlarged_by_a_whole_factor():
    data = load_source("digits").train
    sheet = np.asarray(contact_sheet(data, 3, 0))
    assert np.array_equal(sheet[..., 0], sheet[..., 1])
    tile, gap, left = 96, 6, 200
    for label in range(10):
        pictures = {image.tobytes() for image in data.images[data.labels == label]}
        top = gap + label * (tile + gap)
        for column in range(3):
            start = left + column * (tile + gap)
            shown = sheet[top : top + tile, start : start + tile, 0]
            assert shown[::12, ::12].tobytes() in pictures
            assert np.array_equal(np.kron(shown[::12, ::12], np.ones((12, 12))), shown)


def test_class_names_are_drawn_beside_their_row():
    data = load_source("digits").train
    names = np.asarray(contact_sheet(data, 1, 0))[:, :190]
    for label in range(10):
        assert (names[6 + label * 102 : 6 + (label + 1) * 102 - 6] < 128).any()


def test_the_seed_chooses_the_images():
    data = load_source("digits").train
    one, same, other = (contact_sheet(data, 4, seed).tobytes() for seed in (1, 1, 2))
    assert one == same != other


def test_a_class_with_few_or_no_images_leaves_room(rng):
    data = dataset(noise(rng, 3, 3, 20, 30), [0, 0, 2], classes=4)
    sheet = contact_sheet(data, 5, 0)
    assert sheet.width == 200 + 5 * (90 + 6) + 6
    assert np.asarray(sheet)[200:, 200:].min() < 255


def test_large_images_are_reduced(rng):
    assert contact_sheet(dataset(noise(rng, 4, 1, 400, 300)), 2, 0).width < 700


def test_no_image_in_a_row_is_refused(rng):
    with pytest.raises(DataError, match="needs an image in a row, not 0"):
        contact_sheet(dataset(noise(rng, 4, 1, 8, 8)), 0, 0)
