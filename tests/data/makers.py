"""Small collections as their publishers write them, made from random pixels."""

import gzip
import io
import pickle
import struct
import tarfile

import numpy as np
from PIL import Image

from sudare.data.images import ImageDataset


def dataset(images, labels=None, unit=None, classes=2):
    n = len(images)
    return ImageDataset(
        images=images,
        labels=np.arange(n) % classes if labels is None else np.asarray(labels, dtype=np.int64),
        class_names=tuple(f"class {number}" for number in range(classes)),
        unit=np.arange(n) if unit is None else np.asarray(unit, dtype=np.int64),
    )


def noise(rng, *shape):
    return rng.integers(0, 256, size=shape, dtype=np.uint8)


def idx_bytes(array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_idx(folder, rng, *, train=20, test=10, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "train-images-idx3-ubyte": noise(rng, train, 28, 28),
        "train-labels-idx1-ubyte": (np.arange(train) % 10).astype(np.uint8),
        "t10k-images-idx3-ubyte": noise(rng, test, 28, 28),
        "t10k-labels-idx1-ubyte": (np.arange(test) % 10).astype(np.uint8),
    }
    for name, array in arrays.items():
        content = idx_bytes(array)
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    return arrays


class Python2Pickle:
    """A dictionary as Python 2's cPickle wrote it: text as bytes, arrays by ``_reconstruct``."""

    def __init__(self, value):
        self._out = io.BytesIO(b"\x80\x02")
        self._out.seek(2)
        self._write(value)
        self._out.write(b".")

    def getvalue(self):
        return self._out.getvalue()

    def _write(self, value):
        out = self._out
        match value:
            case dict():
                out.write(b"}(")
                for key, entry in value.items():
                    self._write(key)
                    self._write(entry)
                out.write(b"u")
            case list():
                out.write(b"](")
                for entry in value:
                    self._write(entry)
                out.write(b"e")
            case str():
                self._write(value.encode())
            case bytes():
                out.write(b"T" + struct.pack("<i", len(value)) + value)
            case int():
                out.write(b"J" + struct.pack("<i", value))
            case np.ndarray():
                self._array(value)

    def _array(self, value):
        out = self._out
        out.write(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR")
        out.write(b"(K\x01(")
        for length in value.shape:
            self._write(length)
        out.write(b"tcnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNN")
        out.write(b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")
        self._write(value.tobytes())
        out.write(b"tb")


def python2(value):
    return Python2Pickle(value).getvalue()


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"folder/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def cifar10_members(rng, *, per_batch=10, write=python2):
    members = {
        name: write(
            {
                "batch_label": name,
                "labels": [int(label) for label in np.arange(per_batch) % 10],
                "data": noise(rng, per_batch, 3072),
                "filenames": [f"{name}-{row}.png" for row in range(per_batch)],
            }
        )
        for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    }
    meta = {"num_cases_per_batch": per_batch, "label_names": [f"thing {n}" for n in range(10)]}
    return {"readme.html": b"<html>"} | members | {"batches.meta": write(meta)}


def cifar100_members(rng, *, images=100):
    def batch(n):
        return python2(
            {
                "data": noise(rng, n, 3072),
                "fine_labels": [int(label) for label in np.arange(n) % 100],
                "coarse_labels": [int(label) // 5 for label in np.arange(n) % 100],
            }
        )

    meta = python2(
        {
            "fine_label_names": [f"fine {n}" for n in range(100)],
            "coarse_label_names": [f"coarse {n}" for n in range(20)],
        }
    )
    return {"train": batch(images), "test": batch(images), "meta": meta}


def python3(value):
    return pickle.dumps(value, protocol=2)


def write_folder(root, rng, *, classes=("cat", "dog"), per_class=4, size=(12, 12), mode="L"):
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            shape = size if mode == "L" else (*size, len(mode))
            Image.fromarray(noise(rng, *shape)).save(root / name / f"{number}.png")
    return root
