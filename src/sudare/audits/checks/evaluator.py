"""The evaluation net of model inversion: it judges attack images beside real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from sudare.attacks.inversion import PlugAndPlay, load_prior
from sudare.attacks.inversion.priors import Prior
from sudare.audits.checks.inversion_config import InversionCheckConfig
from sudare.core.arrays import ByteArray, FloatArray, IntArray
from sudare.core.errors import DataError
from sudare.core.seeds import generator, integer_seed
from sudare.data.images import ImageDataset
from sudare.metrics import frechet_distance, prdc, same_class_distance
from sudare.nets import build as build_net
from sudare.nets.normalisation import normalise, to_pixels
from sudare.nets.predict import predict

_NEIGHBOUR = 3
_RIDGE = 1e-2
_BATCH = 256


def attack_of(config: InversionCheckConfig) -> PlugAndPlay:
    """The attack that a check's settings name."""
    return PlugAndPlay(
        pool=config.pool,
        candidates=config.candidates,
        keep=config.keep,
        steps=config.steps,
        lr=config.lr,
        loss=config.loss,
        views=config.views,
    )


def classes_of(config: InversionCheckConfig, count: int) -> IntArray:
    """Which classes are inverted, the same in every build."""
    drawn = generator(0, "inverted classes").permutation(count)[: config.classes]
    classes: IntArray = np.sort(drawn).astype(np.int64)
    return classes


def evaluator_of(
    config: InversionCheckConfig, shape: tuple[int, int, int], classes: int, seed: int
) -> torch.nn.Module:
    """The net that judges, untrained."""
    return build_net(
        config.evaluator,
        image_shape=shape,
        n_classes=classes,
        seed=integer_seed(seed, "evaluator weights"),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """What the check prepared once a run.

    Attributes:
        judge: The evaluation net, in evaluation mode.
        prior: Decoder of latents.
        classes: Which classes are inverted.
    """

    judge: torch.nn.Module
    prior: Prior
    classes: IntArray

    @classmethod
    def load(
        cls, folder: Path, config: InversionCheckConfig, pool: ImageDataset, *, device: str
    ) -> Prepared:
        """From the folder that the preparation wrote."""
        judge = evaluator_of(config, pool.image_shape, pool.n_classes, 0)
        judge.load_state_dict(load_file(folder / "evaluator.safetensors"))
        prior = load_prior(
            folder / "prior.safetensors",
            config.prior,
            pool.image_shape,
            latent=config.latent,
            device=device,
        )
        return cls(
            judge=judge.to(device).eval(),
            prior=prior,
            classes=classes_of(config, pool.n_classes),
        )


class Evaluator:
    """An evaluation net and the real images of the inverted classes."""

    def __init__(self, judge: torch.nn.Module, real: ImageDataset, device: str) -> None:
        self._judge, self._real, self._device = judge, real, device
        self._features = features_of(judge, real.images, device)

    def of(self, images: ByteArray, labels: IntArray) -> dict[str, np.ndarray]:
        """Whether each is taken for its class, and how far it is from a real one."""
        apart, _ = same_class_distance(
            features_of(self._judge, images, self._device),
            labels,
            self._features,
            self._real.classes,
        )
        return {
            "top1": self.top(images, labels, 1),
            "top5": self.top(images, labels, 5),
            "distance": apart,
        }

    def top(self, images: ByteArray, labels: IntArray, count: int) -> np.ndarray:
        """Whether the class of each image is among so many that the judge finds likeliest."""
        logits = predict(self._judge, images, device=self._device)
        best = np.argsort(-logits, axis=1, kind="stable")[:, :count]
        found: np.ndarray = (best == labels[:, None]).any(axis=1)
        return found

    def spread(self, images: ByteArray) -> dict[str, np.ndarray]:
        """Frechet distance, precision, recall, density and coverage against all real ones."""
        made = features_of(self._judge, images, self._device)
        if min(len(made), len(self._features)) <= _NEIGHBOUR:
            return {}
        told = prdc(self._features, made, k=_NEIGHBOUR)
        found = {name: np.array(value) for name, value in told._asdict().items()}
        return found | {"fid": np.array(frechet_distance(made, self._features))}

    def nearest_any(self, images: ByteArray, classes: IntArray) -> FloatArray:
        """For each class the distance of whichever of the images is nearest to a real one."""
        made = features_of(self._judge, images, self._device)
        found = []
        for label in classes:
            labels = np.full(len(made), label)
            apart, _ = same_class_distance(made, labels, self._features, self._real.classes)
            found.append(np.min(apart))
        return np.array(found)

    def nearest_images(self, images: ByteArray, labels: IntArray) -> ByteArray:
        """The nearest real image of each one's class."""
        made = features_of(self._judge, images, self._device)
        _, which = same_class_distance(made, labels, self._features, self._real.classes)
        nearest: ByteArray = self._real.images[which]
        return nearest


def features_of(net: torch.nn.Module, images: ByteArray, device: str) -> FloatArray:
    """What the net's last layer sees, ``float64 [n, d]``."""
    embed = getattr(net, "embed", None)
    if embed is None:
        raise DataError(
            "the evaluation net has no features", where="evaluator", fix="Use a convnet or resnet."
        )
    parts = []
    with torch.inference_mode():
        for at in range(0, len(images), _BATCH):
            view = torch.from_numpy(np.array(images[at : at + _BATCH])).to(device)
            parts.append(embed(normalise(view)).double().cpu().numpy())
    return np.concatenate(parts)


def ridge(features: FloatArray, truth: FloatArray) -> FloatArray:
    """Weights ``[d + 1, p]`` that read what an identity is made of off features."""
    padded = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    gram = padded.T @ padded / len(padded)
    gram += _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights: FloatArray = np.linalg.solve(gram, padded.T @ truth / len(padded))
    return weights


def identities(
    judge: torch.nn.Module,
    reader: FloatArray,
    average: FloatArray,
    people: FloatArray,
    classes: IntArray,
    kept: ByteArray,
    labels: IntArray,
    test: ImageDataset,
    device: str,
) -> dict[str, np.ndarray]:
    """Mean error of what an identity is made of: attack images, real images, the average."""

    def error(images: ByteArray, of: IntArray) -> FloatArray:
        features = features_of(judge, images, device)
        read = np.concatenate([features, np.ones((len(features), 1))], axis=1) @ reader
        wrong: FloatArray = np.abs(read - people[np.searchsorted(classes, of)]).mean(axis=1)
        return wrong

    return {
        "identity_error": error(kept, labels),
        "real_identity_error": error(test.images, test.classes),
        "guess_identity_error": np.abs(people - average).mean(axis=1),
    }


def pixels_of(images: torch.Tensor) -> ByteArray:
    """Normalised images as pixels, rounded and cut."""
    pixels: ByteArray = to_pixels(images).cpu().numpy()
    return pixels
