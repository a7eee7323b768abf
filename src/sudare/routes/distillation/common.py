"""What the methods share: private images on the device by class, and where learned ones start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sudare.core.arrays import IntArray
from sudare.core.errors import DataError
from sudare.core.progress import Progress
from sudare.core.seeds import generator, integer_seed
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.nets.normalisation import normalise
from sudare.nets.registry import NetConfig
from sudare.routes.context import Stages

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, kw_only=True, eq=False)
class Learning:
    """What a method learns from.

    Attributes:
        images: ``float32 [n, c, h, w]``, normalised, on the device.
        labels: ``int64 [n]``, on the device.
        classes: Number of classes C.
        images_per_class: Learned images of each class.
        start: Learned images at first, and whom they were.
        operations: What siamese augmentation may do.
        net: The nets images are learned on.
        seed: Root of every random number.
        stages: Where what takes long to make is kept.
        progress: Where to report.
    """

    images: Float[torch.Tensor, "n c h w"]
    labels: Int[torch.Tensor, " n"]
    classes: int
    images_per_class: int
    start: Start
    operations: tuple[str, ...]
    net: NetConfig
    seed: int
    stages: Stages
    progress: Progress

    def random_net(self, *parts: str | int) -> nn.Module:
        """A net with random weights of its own."""
        shape = self.images.shape[1:]
        return build_net(
            self.net,
            image_shape=(int(shape[0]), int(shape[1]), int(shape[2])),
            n_classes=self.classes,
            seed=integer_seed(self.seed, "net", *parts),
        ).to(self.images.device)

    def generator(self, *parts: str | int) -> torch.Generator:
        """A generator on the device."""
        device = self.images.device
        return torch.Generator(device).manual_seed(integer_seed(self.seed, *parts))

    def rows_by_class(self) -> list[torch.Tensor]:
        """Rows of each class."""
        return [torch.nonzero(self.labels == label)[:, 0] for label in range(self.classes)]

    def synthetic_labels(self, per_class: int) -> torch.Tensor:
        """Labels of learned images, class by class."""
        return torch.arange(self.classes, device=self.images.device).repeat_interleave(per_class)


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """Where learned images start.

    Attributes:
        images: ``float32 [C k, c, h, w]``, normalised, class by class.
        rows: ``int64 [m]``, private images they were made of; none for noise.
    """

    images: torch.Tensor
    rows: IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Distilled:
    """What a method gives.

    Attributes:
        images: ``float32 [C k, c, h, w]``, normalised, class by class.
        factor: Formations a side in each image.
        recipe: How to train on them, as fields of a recipe.
        settings: What came out, for the card.
    """

    images: torch.Tensor
    factor: int = 1
    recipe: dict[str, float | str | list[str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


def start_images(
    private: ImageDataset,
    per_class: int,
    *,
    init: str,
    factor: int,
    seed: int,
    device: str,
    public: ImageDataset | None = None,
) -> Start:
    """Random images of each class, private or public, or collages of them, or noise.

    Args:
        private: The private set.
        per_class: Learned images of each class.
        init: ``real``, ``public`` or ``noise``.
        factor: Above 1, each starts as a collage of factor x factor smaller images.
        seed: Seed of the draw.
        device: Where they go.
        public: Images declared public, for ``public``; with the classes of the private ones each
            class starts from its own, else from any.

    Raises:
        DataError: A class with fewer images than are needed, or no public ones.
    """
    rng, wanted = generator(seed, "start"), per_class * factor**2
    shape = (private.n_classes * per_class, *private.image_shape)
    if init == "noise":
        noise = rng.standard_normal(shape).astype(np.float32)
        return Start(images=torch.from_numpy(noise).to(device), rows=np.zeros(0, dtype=np.int64))
    source = private if init == "real" else public
    if source is None or source.image_shape != private.image_shape:
        raise DataError(
            "there are no public images to start from",
            where="routes.init",
            fix='Set data.public, or init = "noise".',
        )
    same = source.class_names == private.class_names
    chosen = []
    for label, name in enumerate(private.class_names):
        members = np.flatnonzero(source.classes == label) if same else np.arange(len(source))
        if len(members) < wanted:
            of = "public images" if init == "public" else "images in this build"
            raise DataError(
                f"class {name!r} has {len(members)} {of}, {wanted} are started from",
                where=source.name,
                fix="Lower images_per_class, enlarge the pool or data.public, or start from noise.",
            )
        chosen.append(rng.choice(members, size=wanted, replace=False))
    rows = np.concatenate(chosen)
    images = normalise(torch.from_numpy(np.array(source.images[rows])))
    own = rows if init == "real" else np.zeros(0, dtype=np.int64)
    return Start(images=_collages(images, factor).to(device), rows=own)


def _collages(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Each factor x factor images, made smaller, side by side in one."""
    if factor == 1:
        return images
    _, channels, height, width = images.shape
    small = (-(-height // factor), -(-width // factor))
    tiles = nn.functional.interpolate(images, size=small, mode="bilinear", antialias=True)
    tiles = tiles.reshape(-1, factor, factor, channels, *small).permute(0, 3, 1, 4, 2, 5)
    whole = tiles.reshape(len(tiles), channels, factor * small[0], factor * small[1])
    return whole[:, :, :height, :width].contiguous()


def refuse_divergence(images: torch.Tensor, method: str) -> None:
    """Stop where learned images are no numbers any more.

    Raises:
        DataError: They hold NaN or infinity, or are far from any picture.
    """
    if not bool(images.isfinite().all()) or float(images.abs().max()) > 90:
        raise DataError("the learned images diverged", where=method, fix="Lower method.lr.")
