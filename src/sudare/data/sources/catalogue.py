"""What is known about each named source: what it shows, its licence, its files and classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sudare.data.sources.download import Remote
from sudare.data.sources.medmnist_catalogue import MEDMNIST

__all__ = ["CATALOGUE", "IDX_FILES", "Entry"]

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Names of the four files of the MNIST format, without ``.gz``."""

_MEDMNIST_URL = "https://zenodo.org/records/10519652/files/{name}.npz?download=1"
_MEDMNIST_SOURCE = "MedMNIST v2, {name}; Yang et al. 2023, Scientific Data 10:41"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A named source.

    Attributes:
        what: What the images show, how many and how large.
        licence: Licence in words.
        source: Attribution in words.
        remotes: Official files; empty if it comes with Sudare or its dependencies.
        class_names: One name per class; empty if the files say them.
        system: A folder where a system package puts the files, or None.
    """

    what: str
    licence: str
    source: str
    remotes: tuple[Remote, ...] = ()
    class_names: tuple[str, ...] = ()
    system: Path | None = None


def _idx(source: str, base: str, *checksums: str) -> tuple[Remote, ...]:
    return tuple(
        Remote(url=f"{base}{file}.gz", name=f"{source}-{file}.gz", md5=md5)
        for file, md5 in zip(IDX_FILES, checksums, strict=True)
    )


def _cifar(classes: int, md5: str) -> Entry:
    file = f"cifar-{classes}-binary.tar.gz"
    return Entry(
        what=f"small photographs, {classes} classes; 60,000 images, 32 px, RGB",
        licence="not stated",
        source=f"CIFAR-{classes}; Krizhevsky 2009",
        remotes=(Remote(url=f"https://www.cs.toronto.edu/~kriz/{file}", name=file, md5=md5),),
    )


def _medmnist() -> dict[str, Entry]:
    return {
        f"medmnist:{name}": Entry(
            what=row.what,
            licence=row.licence,
            source=_MEDMNIST_SOURCE.format(name=name),
            remotes=(Remote(url=_MEDMNIST_URL.format(name=name), name=f"{name}.npz", md5=row.md5),),
            class_names=row.class_names,
        )
        for name, row in MEDMNIST.items()
    }


CATALOGUE: Mapping[str, Entry] = {
    "digits": Entry(
        what="handwritten digits; 1,797 images, 8 px, grey",
        licence="CC BY 4.0",
        source="Optical Recognition of Handwritten Digits; Alpaydin and Kaynak 1998, UCI; "
        "as in scikit-learn",
        class_names=tuple(str(digit) for digit in range(10)),
    ),
    "pneumonia": Entry(
        what="paediatric chest X-rays, normal or pneumonia; 5,856 images, 28 px, grey",
        licence="CC BY 4.0",
        source="PneumoniaMNIST; Yang et al. 2023 (MedMNIST v2), Kermany et al. 2018",
        class_names=("normal", "pneumonia"),
    ),
    "identities": Entry(
        what="drawn faces of 200 people, each ten known numbers; 22,000 images, 32 px, grey",
        licence="as Sudare itself",
        source="drawn by sudare.data.sources.identities; nobody real is in it",
    ),
    "fashion-mnist": Entry(
        what="pieces of clothing, 10 classes; 70,000 images, 28 px, grey",
        licence="MIT",
        source="Fashion-MNIST; Xiao, Rasul and Vollgraf 2017, Zalando SE",
        remotes=_idx(
            "fashion-mnist",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        class_names=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        system=Path("/usr/share/datasets/fashion-mnist"),
    ),
    "mnist": Entry(
        what="handwritten digits, 10 classes; 70,000 images, 28 px, grey",
        licence="not stated",
        source="MNIST; LeCun, Cortes and Burges 1998",
        remotes=_idx(
            "mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        class_names=tuple(str(digit) for digit in range(10)),
    ),
    "cifar10": _cifar(10, "c32a1d4ab5d03f1284b67883e8d87530"),
    "cifar100": _cifar(100, "03b5dce01913d631647c71ecec9e9cb8"),
    **_medmnist(),
}
"""Every source that ``load_source`` knows by name."""
