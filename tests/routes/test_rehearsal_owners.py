"""Owners of a rehearsal hold the images that are named after them, in whatever order they are."""

import numpy as np
import pytest

from sudare.core.errors import ConfigError
from sudare.data.images import ImageDataset
from sudare.routes.federation.rehearsal import divide

NAMES = ("2", "10", "north")


def collection():
    rng = np.random.default_rng(0)
    silo = np.arange(60) % 3
    images = rng.integers(0, 80, size=(60, 1, 8, 8)) + 80 * silo[:, None, None, None]
    return ImageDataset(
        images=images.astype(np.uint8),
        labels=(np.arange(60) // 3 % 2).astype(np.int64),
        class_names=("a", "b"),
        unit=np.arange(60),
        silo=silo,
        silo_names=NAMES,
    )


@pytest.mark.parametrize("owners", [["2", "10", "north"], ["north", "2", "10"]])
def test_each_owner_holds_what_is_named_after_it(tmp_path, owners):
    divide(collection(), tmp_path / "r", owners, partition="iid")
    for number, name in enumerate(NAMES):
        with np.load(tmp_path / "r" / "images" / f"{name}.npz") as held:
            assert len(held["images"])
            assert (held["images"] // 80 == number).all()


def test_owners_that_the_column_does_not_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="the column `silo` names 2, 10, north"):
        divide(collection(), tmp_path / "r", ["2", "10", "south"], partition="iid")
