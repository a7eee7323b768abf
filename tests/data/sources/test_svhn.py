import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import savemat

from sudare.core.errors import DataError
from sudare.data.sources import load_source, svhn
from sudare.data.sources.catalogue import CATALOGUE


def place(folder, monkeypatch, *files):
    """Two files where the downloads would lie, with their own checksums in the catalogue."""
    target = folder / "downloads"
    target.mkdir(exist_ok=True)
    entry, remotes = CATALOGUE["svhn"], []
    for remote, arrays in zip(entry.remotes, files, strict=True):
        path = target / remote.name
        if isinstance(arrays, bytes):
            path.write_bytes(arrays)
        else:
            savemat(path, arrays, do_compression=True)
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        remotes.append(replace(remote, md5=md5))
    monkeypatch.setattr(
        svhn, "CATALOGUE", {"svhn": entry.model_copy(update={"remotes": tuple(remotes)})}
    )


def arrays(rng, n, **other):
    pixels = rng.integers(256, size=(32, 32, 3, n), dtype=np.uint8)
    return {"X": pixels, "y": rng.integers(1, 11, size=(n, 1)).astype(np.uint8)} | other


def test_images_are_turned_and_ten_is_zero(tmp_path, rng, monkeypatch):
    train, test = arrays(rng, 40), arrays(rng, 15)
    place(tmp_path, monkeypatch, train, test)
    source = load_source("svhn", cache=tmp_path)
    assert source.splits == {"train": 40, "test": 15}
    assert source.train.image_shape == (3, 32, 32)
    assert source.train.class_names[0] == "0"
    assert np.array_equal(source.train.labels, train["y"][:, 0] % 10)
    # Row, column, colour, image in the file.
    assert source.train.images[7, 2, 5, 9] == train["X"][5, 9, 2, 7]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda rng: b"no MATLAB file at all",
        lambda rng: arrays(rng, 5, X=np.zeros((32, 32, 5), dtype=np.uint8)),
        lambda rng: arrays(rng, 5, X=np.zeros((32, 32, 3, 5))),
        lambda rng: arrays(rng, 5, y=np.full((5, 1), 11)),
        lambda rng: arrays(rng, 5, y=np.array([["a"]] * 5, dtype=object)),
        lambda rng: {"X": np.zeros((32, 32, 3, 5), dtype=np.uint8)},
    ],
)
def test_another_file_is_one_sentence(tmp_path, rng, monkeypatch, wrong):
    place(tmp_path, monkeypatch, wrong(rng), arrays(rng, 5))
    with pytest.raises(DataError, match="not one of SVHN's"):
        load_source("svhn", cache=tmp_path)
