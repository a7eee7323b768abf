"""Using a release somebody handed over: ask it about images, or look at what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sudare.core.errors import DataError, ReleaseError
from sudare.core.progress import Progress, Silent
from sudare.data.images import ImageDataset
from sudare.data.pictures import contact_sheet
from sudare.data.sources import load_source
from sudare.nets.predict import predict
from sudare.recipients.config import HeadConfig
from sudare.recipients.heads import FeatureNet, train_head
from sudare.releases.kinds import FeatureSource, Release

if TYPE_CHECKING:
    from PIL.Image import Image


def try_release(release: Release, images: str, *, progress: Progress | None = None) -> str:
    """What a release says about the user's images, in lines; a head is trained where it draws.

    Raises:
        ReleaseError: The release must be trained on first.
        DataError: Images of another shape.
    """
    net = _net_of(release, progress or Silent())
    source = load_source(images, image_size=release.card.image_shape[1])
    data = source.train
    if data.image_shape != release.card.image_shape:
        raise DataError(
            f"images are {data.image_shape}, the release takes {release.card.image_shape}",
            where=images,
        )
    answers = predict(net, data.images, device="cpu").argmax(axis=1)
    counts = np.bincount(answers, minlength=len(release.card.class_names))
    lines = [
        f"{name}: {count:,} of {len(data):,} images"
        for name, count in zip(release.card.class_names, counts, strict=True)
    ]
    if data.class_names == release.card.class_names:
        right = float(np.mean(answers == data.classes))
        lines.append(f"agreement with the given labels: {right:.1%}")
    return "\n".join(lines)


def write_samples(release: Release, n_per_class: int, path: Path, *, seed: int = 0) -> int:
    """Draw features from a distribution into an .npz file; says how many.

    Raises:
        ReleaseError: The release is none.
    """
    if not isinstance(training_set := release.training_set(), FeatureSource):
        raise ReleaseError("nothing can be drawn from this release", where=release.card.title)
    labels = torch.arange(training_set.n_classes).repeat_interleave(n_per_class)
    features = training_set.draw(labels, torch.Generator().manual_seed(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        features=features.numpy(),
        labels=labels.numpy(),
        class_names=np.array(release.card.class_names),
    )
    return len(labels)


def _net_of(release: Release, progress: Progress) -> torch.nn.Module:
    """The net that answers: the release's own, or a head trained on what it draws."""
    training_set = release.training_set()
    if training_set is None:
        return release.net()
    if isinstance(training_set, FeatureSource):
        extractor = training_set.extractor()
        head = train_head(training_set, HeadConfig(), seed=0, device="cpu", progress=progress)
        return FeatureNet(extractor, head, progress=progress)
    raise ReleaseError("only a classifier can classify", where=release.card.title)


def contact_sheet_of(release: Release) -> Image:
    """A contact sheet of released images.

    Raises:
        ReleaseError: The release holds no images.
    """
    shown = release.pictures()
    if shown is None:
        raise ReleaseError("this release holds no images", where=release.card.title)
    images, labels = shown
    data = ImageDataset(
        images=images,
        labels=labels,
        class_names=release.card.class_names,
        unit=np.arange(len(labels)),
    )
    return contact_sheet(data, per_class=min(10, int(np.bincount(labels).max(initial=1))))
