"""Street View House Numbers: the cropped digits, two MATLAB files of arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sudare.core.arrays import ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.data.sources.catalogue import CATALOGUE
from sudare.data.sources.download import fetch
from sudare.data.sources.source import Request, Source, assemble

_SIDE_PX, _MOST_IMAGES = 32, 1_000_000
_LARGEST_BYTES = 1 << 31


def svhn(request: Request) -> Source:
    """SVHN's cropped digits, train and test; the digit 0 has label 10 in the files.

    Source:
        Netzer et al. 2011, "Reading digits in natural images with unsupervised feature learning".

    Raises:
        DataError: No connection, or files that are corrupt or others.
    """
    entry = CATALOGUE["svhn"]
    paths = [fetch(one, request.cache, progress=request.progress) for one in entry.remotes]
    train, test = map(_read, paths)
    return assemble(
        {"train": train, "test": test},
        class_names=entry.class_names,
        name="svhn",
        licence=entry.licence,
        source=entry.source,
        image_size=request.image_size,
    )


def _read(path: Path) -> tuple[ByteArray, IntArray]:
    """Images ``[n, 3, 32, 32]`` and classes; what the file promises is looked at before."""
    from scipy.io import loadmat, whosmat

    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError("it is larger than 2 GiB")
        shapes = {name: shape for name, shape, _ in whosmat(path)}
        n = shapes["X"][-1]
        if shapes["X"] != (_SIDE_PX, _SIDE_PX, 3, n) or shapes["y"] != (n, 1) or n > _MOST_IMAGES:
            raise ValueError(f"its arrays are {shapes}")
        # Arrays only: nothing in the format of version 5 is code.
        read = loadmat(path, variable_names=["X", "y"])
        pixels, labels = read["X"], read["y"][:, 0]
        if pixels.dtype != np.uint8 or not np.isin(labels, range(1, 11)).all():
            raise ValueError("its arrays hold neither bytes nor digits")
    except (OSError, ValueError, KeyError, TypeError, IndexError, NotImplementedError) as error:
        raise DataError(
            f"the file is not one of SVHN's: {error}", where=str(path), fix="Get it again."
        ) from error
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return images, labels.astype(np.int64) % 10
