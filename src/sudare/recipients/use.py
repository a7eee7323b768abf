"""Using a release somebody handed over: ask it about images, or look at what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sudare.core.errors import DataError, ReleaseError
from sudare.data.images import ImageDataset
from sudare.data.pictures import contact_sheet
from sudare.data.sources import load_source
from sudare.nets.predict import predict
from sudare.releases.kinds import Release, SamplesRelease

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["contact_sheet_of", "try_release"]


def try_release(release: Release, images: str) -> str:
    """What a release that answers by itself says about the user's images, in lines.

    Raises:
        ReleaseError: The release must be trained on first.
        DataError: Images of another shape.
    """
    if release.lesson() is not None:
        raise ReleaseError("only a classifier can classify", where=release.card.title)
    source = load_source(images, image_size=release.card.image_shape[1])
    data = source.train
    if data.image_shape != release.card.image_shape:
        raise DataError(
            f"images are {data.image_shape}, the release takes {release.card.image_shape}",
            where=images,
        )
    answers = predict(release.net(), data.images, device="cpu").argmax(axis=1)
    counts = np.bincount(answers, minlength=len(release.card.class_names))
    lines = [
        f"{name}: {count:,} of {len(data):,} images"
        for name, count in zip(release.card.class_names, counts, strict=True)
    ]
    if data.class_names == release.card.class_names:
        right = float(np.mean(answers == data.classes))
        lines.append(f"agreement with the given labels: {right:.1%}")
    return "\n".join(lines)


def contact_sheet_of(release: Release) -> Image:
    """A contact sheet of released images.

    Raises:
        ReleaseError: The release holds no images.
    """
    if not isinstance(release, SamplesRelease):
        raise ReleaseError("this release holds no images", where=release.card.title)
    labels = release.soft_labels.argmax(axis=1).astype(np.int64)
    return contact_sheet(
        ImageDataset(
            images=release.pictures(),
            labels=labels,
            class_names=release.card.class_names,
            unit=np.arange(len(labels)),
        )
    )
