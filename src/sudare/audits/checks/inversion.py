"""Model inversion of a release's net: what its classes look like, judged by another net."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import save_file

from sudare.attacks.inversion import fit_prior, save_prior
from sudare.attacks.near_copies import search
from sudare.audits.checks.base import (
    BuildResults,
    Check,
    CheckInput,
    Judgement,
    Measurement,
    Picture,
    Preparation,
)
from sudare.audits.checks.evaluator import (
    Evaluator,
    Prepared,
    attack_of,
    classes_of,
    evaluator_of,
    features_of,
    identities,
    pixels_of,
    ridge,
)
from sudare.audits.checks.inversion_config import InversionCheckConfig
from sudare.audits.checks.nearest import counted, padded
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import ByteArray, IntArray
from sudare.core.errors import DataError
from sudare.core.estimates import Estimate
from sudare.core.figures import Figure
from sudare.core.hashing import hash_json
from sudare.core.seeds import integer_seed
from sudare.core.threats import ThreatModel
from sudare.core.wording import say
from sudare.data.images import ImageDataset, concatenate
from sudare.data.sources.identities import parameters_of
from sudare.metrics import crossed_share, mean_over_builds
from sudare.nets import build as build_net
from sudare.nets.normalisation import normalise
from sudare.nets.predict import predict
from sudare.nets.weights import state_of
from sudare.training.loop import TrainingData, train
from sudare.training.recipe import Recipe

if TYPE_CHECKING:
    from sudare.releases.kinds import Release

_LEAST = 30
_SHOWN = 6
_BY_CLASS = ("top1", "top5", "first_top1", "every_top1")

_OTHER_CLASSES = "other classes"


class InversionCheck(Check[InversionCheckConfig]):
    """Plug & Play attack on the net that answers, with its controls.

    The prior is fitted once a run on the attacker's images: other people's where classes were set
    apart (``data.auxiliary_classes``), else the population, which shows the same classes. The
    evaluation net learns from population and public images of the private classes.
    """

    prepares = True
    figures = (
        Figure(id="inversion.top1", format="percent", worse="higher", edition="public"),
        Figure(id="inversion.top5", format="percent", edition="public"),
        Figure(id="inversion.distance", worse="lower", edition="public"),
        Figure(id="inversion.extraction", format="percent", worse="higher", edition="public"),
        Figure(id="inversion.near", format="percent", worse="higher", edition="public", exact=True),
        Figure(
            id="inversion.near_excess",
            format="percent",
            chance=0.0,
            worse="higher",
            edition="public",
        ),
        Figure(id="inversion.confidence", format="percent", edition="public"),
        Figure(id="inversion.first_top1", format="percent", edition="public"),
        Figure(id="inversion.every_top1", format="percent", worse="higher", edition="public"),
        Figure(id="inversion.gradient_cosine", edition="public"),
        Figure(id="inversion.fid", edition="public"),
        Figure(id="inversion.precision", format="percent", edition="public"),
        Figure(id="inversion.recall", format="percent", edition="public"),
        Figure(id="inversion.density", edition="public"),
        Figure(id="inversion.coverage", format="percent", edition="public"),
        Figure(id="inversion.identity_error", worse="lower", edition="public"),
        Figure(id="inversion.evaluator_accuracy", format="percent", edition="public"),
        Figure(id="inversion.random_top1", format="percent", edition="public"),
        Figure(id="inversion.random_distance", edition="public"),
        Figure(id="inversion.prior_distance", edition="public"),
        Figure(id="inversion.real_top1", format="percent", edition="public"),
        Figure(id="inversion.real_distance", edition="public"),
        Figure(id="inversion.real_identity_error", edition="public"),
        Figure(id="inversion.guess_identity_error", edition="public"),
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
        judge = evaluator_of(config, known.image_shape, len(given.class_names), given.seed).to(
            device
        )
        train(
            judge,
            TrainingData.of(known.images, known.classes, device=device),
            config.evaluator_recipe,
            seed=integer_seed(given.seed, "evaluator"),
            progress=given.progress,
            label="evaluation net",
        )
        save_file(state_of(judge), folder / "evaluator.safetensors")
        judge.eval()
        reader = np.zeros((0, 0))
        if (truth := parameters_of(known)) is not None:
            reader = ridge(features_of(judge, known.images, device), truth)
        blind = build_net(
            config.evaluator,
            image_shape=known.image_shape,
            n_classes=len(given.class_names),
            seed=integer_seed(given.seed, "random weights"),
        ).to(device)
        classes = classes_of(config, len(given.class_names))
        found = attack_of(config)(
            blind.eval(), prior, torch.from_numpy(classes).to(device), seed=given.seed
        )
        np.savez(
            folder / "prepared.npz",
            reader=reader,
            average=np.zeros(0) if truth is None else truth.mean(axis=0),
            random=pixels_of(found.images.flatten(0, 1)),
            saw=np.array(_OTHER_CLASSES if given.auxiliary is not None else "the same classes"),
        )

    def measure(self, tested: CheckInput) -> Measurement:
        """Invert the net, judge what came out, and the controls by the same yardstick."""
        if tested.prepared is None:
            raise TypeError("this check prepares nets")
        config, device, pool = self.config, tested.device, tested.pool
        made = Prepared.load(tested.prepared, config, pool, device=device)
        judge, prior, classes = made.judge, made.prior, made.classes
        with np.load(tested.prepared / "prepared.npz", allow_pickle=False) as file:
            reader, average, random = (file[name] for name in ("reader", "average", "random"))
            saw = file["saw"]
        found = attack_of(config)(
            tested.nets[0].to(device).eval(),
            prior,
            torch.from_numpy(classes).to(device),
            seed=tested.seed,
            progress=tested.progress,
        )
        kept, labels = pixels_of(found.images.flatten(0, 1)), np.repeat(classes, config.keep)
        real, test = (part[np.isin(part.classes, classes)] for part in (pool, tested.test))
        yardstick = Evaluator(judge, real, device)
        arrays = yardstick.of(kept, labels)
        arrays |= padded(search(kept, pool.images), "near", len(kept))
        arrays["confidence"] = found.confidence.flatten().cpu().numpy()
        many = np.repeat(classes, config.candidates)
        arrays["first_top1"] = yardstick.top(pixels_of(found.first.flatten(0, 1)), many, 1)
        arrays["every_top1"] = yardstick.top(pixels_of(found.every.flatten(0, 1)), many, 1)
        arrays["gradient_cosine"] = found.cosine.flatten().cpu().numpy()
        arrays |= yardstick.spread(kept)
        arrays["extraction"] = np.array(self._extracted(kept, labels, real, tested))
        for name, images, of in (("random", random, labels), ("real", test.images, test.classes)):
            told = yardstick.of(images, of)
            arrays |= {f"{name}_{figure}": told[figure] for figure in ("top1", "distance")}
        rng = torch.Generator(device).manual_seed(tested.seed)
        with torch.no_grad():
            usual = pixels_of(prior.decode(prior.sample(config.pool, rng)))
        arrays["prior_distance"] = yardstick.nearest_any(usual, classes)
        answers = predict(judge, tested.test.images, device=device).argmax(axis=1)
        arrays["evaluator_accuracy"] = answers == tested.test.classes
        truth = parameters_of(real)
        if truth is not None and len(reader):
            people = np.stack([truth[real.classes == label].mean(axis=0) for label in classes])
            arrays |= identities(
                judge, reader, average, people, classes, kept, labels, test, device
            )
        own = tested.release
        # Who trains on a release has that net; of one that answers by itself, all is seen.
        sees = own.scores_as if own.training_set() is not None else own.held_as or own.scores_as
        arrays |= {"sees": np.array(str(sees)), "saw": saw}
        nearest = yardstick.nearest_images(kept, labels)
        return Measurement(arrays=arrays, pictures=self._pictures(kept, labels, nearest))

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """Means over builds; controls were measured once."""
        arrays = stack.arrays
        threat = ThreatModel(str(arrays["sees"][0]))
        settings = hash_json(self.config.model_dump(mode="json", exclude={"builds"}))
        items = arrays["near_pixels_columns"]
        copies = counted(
            arrays, stack.membership, stack.units, total=items.shape[0] * items.shape[1]
        )
        found = [
            maker.finding(name, estimate, threat=threat, attack_hash=settings)
            for name, estimate in (
                ("inversion.near", copies.near),
                ("inversion.near_excess", copies.excess),
            )
        ]
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
                    value=float(each[0]), low=None, high=None, n=0, method=say("method.once")
                )
            else:
                low = -1.0 if name == "gradient_cosine" else 0.0
                bounds = (low, 1.0 if figure.format == "percent" else np.inf)
                told = mean_over_builds(each, bounds=bounds)
                if name in _BY_CLASS:
                    # Builds are inverted in the same classes, which were drawn too.
                    classes = arrays["top1"].shape[1] // self.config.keep
                    told = crossed_share(values.reshape(len(values), classes, -1).mean(axis=2))
                other = arrays["saw"][0] == _OTHER_CLASSES
                saw = say("prior.other_classes" if other else "prior.same_classes")
                how = say("method.prior", method=told.method, prior=self.config.prior, of=saw)
                estimate = replace(told, method=how)
            found.append(
                maker.finding(
                    figure.id,
                    estimate,
                    threat=ThreatModel.NONE if control else threat,
                    attack_hash="" if control else settings,
                )
            )
        return Judgement(findings=found)

    def _extracted(
        self, kept: ByteArray, labels: IntArray, real: ImageDataset, tested: CheckInput
    ) -> float:
        """Accuracy on real images of a student that saw attack images only."""
        if not self.config.extraction_steps:
            return float("nan")
        # A subset of classes keeps its order, numbered anew for student and real images alike.
        names, targets = np.unique(labels, return_inverse=True)
        student = evaluator_of(self.config, real.image_shape, max(2, len(names)), tested.seed)
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
        caption = say("caption.inverted_blurred" if self.config.blur else "caption.inverted")
        return {"inverted": Picture(image=sheet, caption=caption)}
