"""Small collections as their publishers write them, made from random pixels."""

import gzip
import io
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


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"folder/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def cifar10_members(rng, *, per_batch=10):
    """Members of the binary archive: a label byte, then 3,072 pixels, for each image."""
    labels = (np.arange(per_batch) % 10).astype(np.uint8)[:, None]
    members = {
        f"{name}.bin": np.concatenate([labels, noise(rng, per_batch, 3072)], axis=1).tobytes()
        for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    }
    names = "\n".join(f"thing {n}" for n in range(10)) + "\n\n"
    return {"readme.html": b"<html>"} | members | {"batches.meta.txt": names.encode()}


def cifar100_members(rng, *, images=100):
    """Members of the binary archive: coarse and fine label bytes, then pixels."""
    fine = (np.arange(images) % 100).astype(np.uint8)[:, None]

    def batch():
        return np.concatenate([fine // 5, fine, noise(rng, images, 3072)], axis=1).tobytes()

    names = "\n".join(f"fine {n}" for n in range(100)) + "\n"
    return {"train.bin": batch(), "test.bin": batch(), "fine_label_names.txt": names.encode()}


def write_folder(root, rng, *, classes=("cat", "dog"), per_class=4, size=(12, 12), mode="L"):
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            shape = size if mode == "L" else (*size, len(mode))
            Image.fromarray(noise(rng, *shape)).save(root / name / f"{number}.png")
    return root
