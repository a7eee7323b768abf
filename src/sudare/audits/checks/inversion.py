"""Model inversion of a release's net: what its classes look like, judged by another net."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from sudare.attacks.inversion import PlugAndPlay, fit_prior, load_prior, save_prior
from sudare.audits.checks.base import Check, Measurement, Picture, Preparation, Stack, Tested
from sudare.audits.checks.inversion_config import InversionCheckConfig
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import ByteArray, FloatArray, IntArray
from sudare.core.errors import DataError
from sudare.core.estimates import Estimate
from sudare.core.figures import Figure
from sudare.core.findings import Finding
from sudare.core.hashing import hash_json
from sudare.core.seeds import generator, integer_seed
from sudare.core.threats import ThreatModel
from sudare.data.images import ImageDataset, concatenate
from sudare.data.sources.identities import parameters_of
from sudare.metrics import frechet_distance, mean_over_builds, prdc, same_class_distance
from sudare.nets import build as build_net
from sudare.nets.predict import normalise, predict, to_pixels
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import Recipe

if TYPE_CHECKING:
    from sudare.releases.kinds import Release

__all__ = ["InversionCheck"]

_LEAST = 30
_NEIGHBOUR = 3
_SHOWN = 6
_RIDGE = 1e-2
_BATCH = 256


def _figure(
    name: str, said: str, meaning: str = "", *, worse: str = "", share: bool = True
) -> Figure:
    return Figure(
        id=f"inversion.{name}",
        name=f"Inversion: {said}",
        short=said[:1].upper() + said[1:] if meaning else "",
        meaning=meaning,
        format="percent" if share else "number",
        worse="higher" if worse == "higher" else "lower" if worse == "lower" else None,
        edition="public",
    )


class InversionCheck(Check[InversionCheckConfig]):
    """Plug & Play attack on the net that answers, with its controls.

    The prior is fitted once a run on the attacker's images: other people's where classes were set
    apart (``data.auxiliary_classes``), else the population, which shows the same classes. The
    evaluation net learns from population and public images of the private classes.
    """

    prepares = True
    figures = (
        _figure(
            "top1",
            "attack images taken for the class (Acc@1)",
            "The share of images that a net of another architecture takes for the class they were "
            "made for. High beside the random-weight control: the release tells what its classes "
            "look like.",
            worse="higher",
        ),
        _figure("top5", "attack images among whose five likeliest is the class (Acc@5)"),
        _figure(
            "distance",
            "squared distance to the nearest real image of the class",
            "In the evaluation net's features; nearer is worse. To be read between the prior alone "
            "and real images of the class.",
            worse="lower",
            share=False,
        ),
        _figure(
            "extraction",
            "accuracy on real images of a net trained on attack images only",
            "What a student learns of the private classes from the attack's images: usable "
            "knowledge rather than looks (knowledge extraction score).",
            worse="higher",
        ),
        _figure("confidence", "the target's confidence in its attack images"),
        _figure("first_top1", "Acc@1 before optimisation"),
        _figure("every_top1", "Acc@1 without selection", worse="higher"),
        _figure("fid", "Frechet distance to real images, in the evaluator's features", share=False),
        _figure("precision", "attack images within reach of real ones (precision)"),
        _figure("recall", "real images within reach of attack images (recall)"),
        _figure("density", "real images around an attack image (density)", share=False),
        _figure("coverage", "real images with an attack image near (coverage)"),
        _figure(
            "identity_error",
            "error of the recovered identity",
            "Mean error of the ten numbers a drawn face is made of, each in 0 to 1, as read off "
            "the attack image. To be read between real images and the average person.",
            worse="lower",
            share=False,
        ),
        _figure("evaluator_accuracy", "accuracy of the evaluation net on test images"),
        _figure("random_top1", "Acc@1 against a net of random weights (control)"),
        _figure("random_distance", "distance, random weights (control)", share=False),
        _figure("prior_distance", "nearest of the prior's own images (control)", share=False),
        _figure("real_top1", "test images taken for their class (upper bound)"),
        _figure("real_distance", "distance of test images (bound)", share=False),
        _figure("real_identity_error", "error of identity, real images (bound)", share=False),
        _figure("guess_identity_error", "error of identity, average person (control)", share=False),
    )

    def not_for(self, kind: type[Release]) -> str:
        """It goes through pixels."""
        return "" if kind.in_pixels else "what it holds has no pixels"

    def prepare(self, given: Preparation, folder: Path) -> None:
        """Fit prior and evaluation net, invert a net of random weights.

        Raises:
            DataError: The attacker or the evaluation net has too few images.
        """
        config, device = self.config, given.device
        own = given.auxiliary if given.auxiliary is not None else given.population
        known = (
            concatenate([given.population, given.public])
            if len(given.public)
            else (given.population)
        )
        if len(own) < _LEAST or len(known) < _LEAST:
            raise DataError(
                f"inversion needs at least {_LEAST} images of the attacker's own",
                where="data.population",
                fix="Raise data.population.",
            )
        images = normalise(torch.from_numpy(np.array(own.images)).to(device))
        prior = fit_prior(
            config.prior,
            images,
            latent=config.latent,
            steps=config.prior_steps,
            seed=integer_seed(given.seed, "prior"),
            progress=given.progress,
        )
        save_prior(prior, folder / "prior.safetensors")
        judge = self._evaluator(known.image_shape, len(given.class_names), given.seed).to(device)
        train(
            judge,
            TrainingData.of(known.images, known.classes, device=device),
            config.evaluator_recipe,
            seed=integer_seed(given.seed, "evaluator"),
            progress=given.progress,
            label="evaluation net",
        )
        state = {name: value.contiguous().cpu() for name, value in judge.state_dict().items()}
        save_file(state, folder / "evaluator.safetensors")
        judge.eval()
        reader = np.zeros((0, 0))
        if (truth := parameters_of(known)) is not None:
            reader = _ridge(_features(judge, known.images, device), truth)
        blind = build_net(
            config.evaluator,
            image_shape=known.image_shape,
            n_classes=len(given.class_names),
            seed=integer_seed(given.seed, "random weights"),
        ).to(device)
        classes = self._classes(len(given.class_names))
        found = self._attack()(
            blind.eval(), prior, torch.from_numpy(classes).to(device), seed=given.seed
        )
        np.savez(
            folder / "prepared.npz",
            reader=reader,
            average=np.zeros(0) if truth is None else truth.mean(axis=0),
            random=_pixels(found.images.flatten(0, 1)),
            saw=np.array("other classes" if given.auxiliary is not None else "the same classes"),
        )

    def measure(self, tested: Tested) -> Measurement:
        """Invert the net, judge what came out, and the controls by the same yardstick."""
        if tested.prepared is None:
            raise TypeError("this check prepares nets")
        config, device, pool = self.config, tested.device, tested.pool
        judge = self._evaluator(pool.image_shape, pool.n_classes, 0)
        judge.load_state_dict(load_file(tested.prepared / "evaluator.safetensors"))
        judge.to(device).eval()
        prior = load_prior(
            tested.prepared / "prior.safetensors",
            config.prior,
            pool.image_shape,
            latent=config.latent,
            device=device,
        )
        with np.load(tested.prepared / "prepared.npz", allow_pickle=False) as file:
            reader, average, random = (file[name] for name in ("reader", "average", "random"))
            saw = file["saw"]
        classes = self._classes(pool.n_classes)
        found = self._attack()(
            tested.nets[0].to(device).eval(),
            prior,
            torch.from_numpy(classes).to(device),
            seed=tested.seed,
            progress=tested.progress,
        )
        kept, labels = _pixels(found.images.flatten(0, 1)), np.repeat(classes, config.keep)
        real, test = (part[np.isin(part.classes, classes)] for part in (pool, tested.test))
        yardstick = _Yardstick(judge, real, device)
        arrays = yardstick.of(kept, labels)
        arrays["confidence"] = found.confidence.flatten().cpu().numpy()
        many = np.repeat(classes, config.candidates)
        arrays["first_top1"] = yardstick.top(_pixels(found.first.flatten(0, 1)), many, 1)
        arrays["every_top1"] = yardstick.top(_pixels(found.every.flatten(0, 1)), many, 1)
        arrays |= yardstick.spread(kept)
        arrays["extraction"] = np.array(self._extracted(kept, labels, real, tested))
        for name, images, of in (("random", random, labels), ("real", test.images, test.classes)):
            told = yardstick.of(images, of)
            arrays |= {f"{name}_{figure}": told[figure] for figure in ("top1", "distance")}
        rng = torch.Generator(device).manual_seed(tested.seed)
        with torch.no_grad():
            usual = _pixels(prior.decode(prior.sample(config.pool, rng)))
        arrays["prior_distance"] = yardstick.nearest_any(usual, classes)
        answers = predict(judge, tested.test.images, device=device).argmax(axis=1)
        arrays["evaluator_accuracy"] = answers == tested.test.classes
        truth = parameters_of(real)
        if truth is not None and len(reader):
            people = np.stack([truth[real.classes == label].mean(axis=0) for label in classes])
            arrays |= _identities(
                judge, reader, average, people, classes, kept, labels, test, device
            )
        own = tested.release
        # Who trains on a release has that net; of one that answers by itself, all is seen.
        sees = own.scores_as if own.lesson() is not None else own.held_as or own.scores_as
        arrays |= {"sees": np.array(str(sees)), "saw": saw}
        nearest = yardstick.nearest_images(kept, labels)
        return Measurement(arrays=arrays, pictures=self._pictures(kept, labels, nearest))

    def judge(self, stack: Stack, maker: FindingMaker) -> list[Finding]:
        """Means over builds; controls were measured once."""
        arrays = stack.arrays
        threat = ThreatModel(str(arrays["sees"][0]))
        settings = hash_json(self.config.model_dump(mode="json", exclude={"builds"}))
        found = []
        for figure in self.figures:
            name = figure.id.partition(".")[2]
            if name not in arrays:
                continue
            values = arrays[name].reshape(len(arrays[name]), -1).astype(np.float64)
            if np.isnan(values).all():
                continue
            each = np.nanmean(values, axis=1)
            control = name.startswith(("random_", "real_", "guess_", "prior_", "evaluator_"))
            if control:
                estimate = Estimate(
                    value=float(each[0]), low=None, high=None, n=0, method="measured once"
                )
            else:
                bounds = (0.0, 1.0 if figure.format == "percent" else np.inf)
                told = mean_over_builds(each, bounds=bounds)
                saw = f"{self.config.prior} prior of {arrays['saw'][0]}"
                estimate = replace(told, method=f"{told.method}; {saw}")
            found.append(
                maker.finding(
                    figure.id,
                    estimate,
                    threat=ThreatModel.NONE if control else threat,
                    attack_hash="" if control else settings,
                )
            )
        return found

    def _attack(self) -> PlugAndPlay:
        config = self.config
        return PlugAndPlay(
            pool=config.pool,
            candidates=config.candidates,
            keep=config.keep,
            steps=config.steps,
            lr=config.lr,
            loss=config.loss,
            views=config.views,
        )

    def _classes(self, count: int) -> IntArray:
        """Which classes are inverted, the same in every build."""
        drawn = generator(0, "inverted classes").permutation(count)[: self.config.classes]
        classes: IntArray = np.sort(drawn).astype(np.int64)
        return classes

    def _evaluator(self, shape: tuple[int, int, int], classes: int, seed: int) -> torch.nn.Module:
        return build_net(
            self.config.evaluator,
            image_shape=shape,
            n_classes=classes,
            seed=integer_seed(seed, "evaluator weights"),
        )

    def _extracted(
        self, kept: ByteArray, labels: IntArray, real: ImageDataset, tested: Tested
    ) -> float:
        """Accuracy on real images of a student that saw attack images only."""
        if not self.config.extraction_steps:
            return float("nan")
        # A subset of classes keeps its order, numbered anew for student and real images alike.
        names, targets = np.unique(labels, return_inverse=True)
        student = self._evaluator(real.image_shape, max(2, len(names)), tested.seed)
        train(
            student.to(tested.device),
            TrainingData.of(kept, targets.astype(np.int64), device=tested.device),
            Recipe(steps=self.config.extraction_steps, batch_size=32, augmentation=("shift",)),
            seed=integer_seed(tested.seed, "extraction"),
            progress=tested.progress,
            label="student of attack images",
        )
        answers = predict(student, real.images, device=tested.device).argmax(axis=1)
        return float((answers == np.searchsorted(names, real.classes)).mean())

    def _pictures(
        self, kept: ByteArray, labels: IntArray, nearest: ByteArray
    ) -> dict[str, Picture]:
        """The best attack image of some classes above the nearest real image."""
        first = np.unique(labels, return_index=True)[1][:_SHOWN]
        beside = nearest[first]
        if self.config.blur:
            small = beside[:, :, ::4, ::4]
            beside = np.repeat(np.repeat(small, 4, axis=2), 4, axis=3)
            beside = beside[:, :, : kept.shape[2], : kept.shape[3]]
        columns = np.concatenate([kept[first], beside], axis=2)
        sheet = np.concatenate(list(columns), axis=2)
        blurred = ", blurred" if self.config.blur else ""
        caption = f"attack images, and below each the nearest real image of its class{blurred}"
        return {"inverted": Picture(image=sheet, caption=caption)}


class _Yardstick:
    """An evaluation net and the real images of the inverted classes."""

    def __init__(self, judge: torch.nn.Module, real: ImageDataset, device: str) -> None:
        self._judge, self._real, self._device = judge, real, device
        self._features = _features(judge, real.images, device)

    def of(self, images: ByteArray, labels: IntArray) -> dict[str, np.ndarray]:
        """Whether each is taken for its class, and how far it is from a real one."""
        apart, _ = same_class_distance(
            _features(self._judge, images, self._device),
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
        logits = predict(self._judge, images, device=self._device)
        best = np.argsort(-logits, axis=1, kind="stable")[:, :count]
        found: np.ndarray = (best == labels[:, None]).any(axis=1)
        return found

    def spread(self, images: ByteArray) -> dict[str, np.ndarray]:
        """Frechet distance, precision, recall, density and coverage against all real ones."""
        made = _features(self._judge, images, self._device)
        if min(len(made), len(self._features)) <= _NEIGHBOUR:
            return {}
        told = prdc(self._features, made, k=_NEIGHBOUR)
        found = {name: np.array(value) for name, value in told._asdict().items()}
        return found | {"fid": np.array(frechet_distance(made, self._features))}

    def nearest_any(self, images: ByteArray, classes: IntArray) -> FloatArray:
        """For each class the distance of whichever of the images is nearest to a real one."""
        made = _features(self._judge, images, self._device)
        found = []
        for label in classes:
            labels = np.full(len(made), label)
            apart, _ = same_class_distance(made, labels, self._features, self._real.classes)
            found.append(np.min(apart))
        return np.array(found)

    def nearest_images(self, images: ByteArray, labels: IntArray) -> ByteArray:
        """The nearest real image of each one's class."""
        made = _features(self._judge, images, self._device)
        _, which = same_class_distance(made, labels, self._features, self._real.classes)
        nearest: ByteArray = self._real.images[which]
        return nearest


def _features(net: torch.nn.Module, images: ByteArray, device: str) -> FloatArray:
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


def _ridge(features: FloatArray, truth: FloatArray) -> FloatArray:
    """Weights ``[d + 1, p]`` that read what an identity is made of off features."""
    padded = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    gram = padded.T @ padded / len(padded)
    gram += _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights: FloatArray = np.linalg.solve(gram, padded.T @ truth / len(padded))
    return weights


def _identities(
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
        features = _features(judge, images, device)
        read = np.concatenate([features, np.ones((len(features), 1))], axis=1) @ reader
        wrong: FloatArray = np.abs(read - people[np.searchsorted(classes, of)]).mean(axis=1)
        return wrong

    return {
        "identity_error": error(kept, labels),
        "real_identity_error": error(test.images, test.classes),
        "guess_identity_error": np.abs(people - average).mean(axis=1),
    }


def _pixels(images: torch.Tensor) -> ByteArray:
    """Normalised images as pixels, rounded and cut."""
    pixels: ByteArray = to_pixels(images).cpu().numpy()
    return pixels
