"""Sources that need no download: the chest X-rays in the package, scikit-learn's digits."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np

from sudare.core.errors import DataError
from sudare.core.hashing import hash_file
from sudare.data.sources.catalogue import CATALOGUE
from sudare.data.sources.medmnist import read_medmnist
from sudare.data.sources.source import Request, Source, assemble

_PNEUMONIA_SHA256 = "d0bfa3330f26554c4117328b1117f52bfb3746404b0594c58f37a09b4314d396"


def pneumonia(request: Request) -> Source:
    """PneumoniaMNIST, 28 px: official train and validation are ``train``, test is ``test``.

    Raises:
        DataError: The file in the package is not the one that was published.
    """
    packaged = resources.files("sudare.data") / "assets" / "pneumoniamnist.npz"
    with resources.as_file(packaged) as path:
        check_sha256(path, _PNEUMONIA_SHA256)
        splits = read_medmnist(path)
    entry = CATALOGUE["pneumonia"]
    return assemble(
        splits,
        class_names=entry.class_names,
        name="pneumonia",
        licence=entry.licence,
        source=entry.source,
        image_size=request.image_size,
    )


def digits(request: Request) -> Source:
    """scikit-learn's 8 x 8 digits, grey levels 0 to 16 spread over 0 to 255; no test set."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    entry = CATALOGUE["digits"]
    return assemble(
        {"train": (images, bunch.target.astype(np.int64))},
        class_names=entry.class_names,
        name="digits",
        licence=entry.licence,
        source=entry.source,
        image_size=request.image_size,
    )


def check_sha256(path: Path, expected: str) -> None:
    """Refuse a file of the package that is not the published one.

    Raises:
        DataError: Another checksum.
    """
    found = hash_file(path)
    if found != expected:
        raise DataError(
            f"the packaged file has SHA-256 {found}, not {expected}",
            where=str(path),
            fix="It is damaged; install sudare again.",
        )
