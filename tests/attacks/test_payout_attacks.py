"""Tricks on payouts: each does what it says to the cheat's records, and nothing to the others'."""

from dataclasses import replace

import numpy as np
import pytest

from sudare.attacks.payouts import TRICKS
from sudare.core.errors import DataError
from sudare.data.images import ImageDataset


def collection(n=60):
    rng = np.random.default_rng(0)
    return ImageDataset(
        images=rng.integers(0, 255, size=(n, 1, 8, 8), dtype=np.uint8),
        labels=(np.arange(n) % 3).astype(np.int64),
        class_names=("a", "b", "c"),
        unit=np.arange(n),
        silo=(np.arange(n) % 4).astype(np.int64),
    )


def tricked(name, owner=2):
    return TRICKS[name](collection(), owner, np.random.default_rng(1))


@pytest.mark.parametrize("name", sorted(TRICKS))
def test_nobody_elses_records_are_touched(name):
    before, found = collection(), tricked(name)
    others, theirs = before.silo != 2, ~np.isin(found.data.silo, found.owners)
    assert np.array_equal(found.data.images[theirs], before.images[others])
    assert np.array_equal(found.data.labels[theirs], before.labels[others])
    assert found.clients == found.data.silo.max() + 1


def test_each_trick_does_what_it_says():
    before = collection()
    mine = before.silo == 2
    wrong = tricked("wrong labels").data
    assert (wrong.labels[mine] == (before.labels[mine] + 1) % 3).all()
    assert np.array_equal(wrong.images, before.images)
    noise = tricked("noise images").data
    assert not np.array_equal(noise.images[mine], before.images[mine])
    twice = tricked("duplicates").data
    assert (twice.silo == 2).sum() == 2 * mine.sum()
    assert len(set(twice.unit)) == len(twice)
    split = tricked("sybil")
    assert split.owners == (2, 4)
    assert abs(int((split.data.silo == 2).sum()) - int((split.data.silo == 4).sum())) <= 1
    rider = tricked("free rider").data
    assert len({image.tobytes() for image in rider.images[mine]}) == 1
    same = tricked("honest").data
    assert np.array_equal(same.labels, before.labels)


def test_without_owners_there_is_no_cheat():
    with pytest.raises(DataError, match="who owns what"):
        TRICKS["sybil"](replace(collection(), silo=None), 0, np.random.default_rng(0))
