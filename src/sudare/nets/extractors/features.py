"""Features of many images, each computed once: a book of features by the image's content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from sudare.core.arrays import ByteArray, Float32Array
from sudare.core.progress import Progress, Silent
from sudare.nets.extractors.base import Extractor
from sudare.nets.normalisation import normalise

_KEYS, _FEATURES, _KEY_BYTES = "keys.npy", "features.npy", 16


class FeatureStore:
    """Features that were computed before, by the hash of the image; empty where there are none.

    Args:
        folder: Of one extractor's pages; each page holds ``keys.npy`` and ``features.npy``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._where: dict[bytes, tuple[int, int]] = {}
        self._pages: list[npt.NDArray[np.float32]] = []
        pages = sorted(folder.glob("*/" + _KEYS)) if folder is not None else []
        for index, path in enumerate(pages):
            self._pages.append(np.load(path.parent / _FEATURES, mmap_mode="r"))
            for row, key in enumerate(np.load(path)):
                self._where[key.tobytes()] = (index, row)

    @classmethod
    def at(cls, shelf: Path | None, fingerprint: str, *, device: str) -> FeatureStore:
        """The book of one extractor on a shelf; empty where there is none."""
        return cls(shelf / fingerprint / device if shelf is not None else None)

    def __len__(self) -> int:
        """Number of images in it."""
        return len(self._where)

    def look_up(self, images: ByteArray) -> list[Float32Array | None]:
        """Features of each image, None where they are not in the book."""
        found: list[Float32Array | None] = []
        for key in _keys(images):
            place = self._where.get(key.tobytes())
            found.append(None if place is None else self._pages[place[0]][place[1]])
        return found


def features_of(
    extractor: Extractor,
    images: ByteArray,
    *,
    book: FeatureStore,
    device: str,
    progress: Progress | None = None,
) -> Float32Array:
    """Features of uint8 images, ``float32 [n, d]``: from the book, or computed.

    Args:
        extractor: The net.
        images: ``uint8 [n, c, h, w]``.
        book: Features computed before.
        device: Where the net runs.
        progress: Where to report.
    """
    found = book.look_up(images) if len(book) else [None] * len(images)
    missing = np.array([i for i, value in enumerate(found) if value is None], dtype=np.int64)
    if len(missing) == len(images):
        return embed(extractor, images, device=device, progress=progress)
    if len(missing):
        computed = embed(extractor, images[missing], device=device, progress=progress)
        for row, values in zip(missing, computed, strict=True):
            found[int(row)] = values
    return np.stack([value for value in found if value is not None]).astype(np.float32)


def embed(
    extractor: Extractor,
    images: ByteArray,
    *,
    device: str,
    progress: Progress | None = None,
    batch: int = 64,
) -> Float32Array:
    """Features of uint8 images, computed; ``float32 [n, d]``.

    Every batch is filled up to the same size: kernels then do the same for an image whatever
    stands beside it, and it has the same features in every page.
    """
    extractor.to(device)
    parts = []
    with (
        torch.inference_mode(),
        (progress or Silent()).stage("features", max(1, len(images))) as bar,
    ):
        for at in range(0, len(images), batch):
            view = torch.from_numpy(np.array(images[at : at + batch])).to(device)
            filled = view[torch.arange(batch, device=device) % len(view)]
            parts.append(extractor(normalise(filled))[: len(view)].float().cpu().numpy())
            bar.advance(len(view))
    if not parts:
        return np.empty((0, extractor.dim), dtype=np.float32)
    return np.concatenate(parts)


def write_shard(folder: Path, images: ByteArray, features: Float32Array) -> None:
    """Write the features of some images into a folder, as a page of a book."""
    np.save(folder / _FEATURES, features)
    np.save(folder / _KEYS, _keys(images))


def _keys(images: ByteArray) -> npt.NDArray[np.uint8]:
    """A hash of each image, ``uint8 [n, 16]``; images of another size have other hashes."""
    salt = hashlib.blake2b(f"{images.shape[1:]}".encode(), digest_size=16).digest()
    digests = [
        hashlib.blake2b(
            np.ascontiguousarray(image).data, digest_size=_KEY_BYTES, salt=salt
        ).digest()
        for image in images
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(images), _KEY_BYTES)
