"""Builds the set and the student: teacher, generator, choice, images; each a stage of the build."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from sudare.core.apportionment import largest_remainder
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.errors import DataError
from sudare.core.hashing import Json
from sudare.core.progress import Progress, Silent
from sudare.core.seeds import generator, integer_seed
from sudare.core.wording import say
from sudare.data.images import ImageDataset
from sudare.nets import build as build_net
from sudare.nets.normalisation import normalise
from sudare.nets.predict import predict
from sudare.nets.weights import state_of
from sudare.routes.base import Build, BuildRecord, Choice, Role, Route
from sudare.routes.context import BuildContext
from sudare.routes.synthesis.cards import SynthesisCards
from sudare.routes.synthesis.config import GkdConfig, SynthesisConfig
from sudare.routes.synthesis.gan import Snapshot, train_gan
from sudare.routes.synthesis.gkd import Drawn, draw_images, train_student
from sudare.routes.synthesis.selection import Setting, select
from sudare.training.compiled import SURE_BUILDS
from sudare.training.loop import TrainingData, train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sudare.core.arrays import ByteArray
    from sudare.releases.kinds import Release

_FAILED = 0.05
_SHOWN = 6
_HARD = GkdConfig(targets="hard")


class SynthesisRoute(Route[SynthesisConfig]):
    """A teacher, a conditional GAN, the state of it that teaches best, a set and a student.

    Source:
        Lomurno and Matteucci 2024, "Synthetic image learning: preserving performance and
        preventing membership inference attacks" (checkpoint optimisation, generative knowledge
        distillation, regeneration); what of it could not be read is in ``docs/routes/synthesis``.
    """

    def _build(self, private: ImageDataset, context: BuildContext) -> Build:
        start, clock = time.process_time(), time.perf_counter()
        held = hold_out(private, self.config.selection.holdout, seed=context.seed)
        work = _Work(config=self.config, private=private, held=held, context=context)
        teacher = work.teacher()
        snapshots = work.snapshots()
        setting, choices = work.chosen(snapshots, teacher)
        drawn = work.draw(snapshots, setting, teacher, "released")
        student = work.student(snapshots, setting, teacher, self.config.gkd, "student")
        about = SynthesisCards(
            config=self.config,
            private=private,
            step=snapshots[setting.snapshot].step,
            setting=setting,
            accepted=drawn.accepted,
        )
        if about.failed:
            context.progress.say(
                f"The generator failed at {', '.join(about.failed)}: the teacher sees that class "
                f"in less than {100 * _FAILED:.0f} % of its images. A larger gan.steps may help."
            )
        planned = {release.name: release for release in self.config.releases}
        name = self.config.name
        releases: dict[str, Release] = {
            name: about.images(planned[name], drawn, teacher),
            f"{name}-student": about.net(planned[f"{name}-student"], student),
        }
        for what in self.config.beside:
            own = planned[f"{name}-{what}"]
            if what == "teacher":
                releases[own.name] = about.net(own, teacher)
            elif what == "hard-student":
                hard = work.student(snapshots, setting, teacher, _HARD, what)
                releases[own.name] = about.net(own, hard)
            elif what == "generator":
                releases[own.name] = about.generator(own, snapshots[setting.snapshot].generator)
            else:
                latest = Setting(snapshot=len(snapshots) - 1, sigma=1.0, threshold=-1.0)
                others = work.draw(snapshots, latest, teacher, what)
                releases[own.name] = about.images(own, others, teacher)
        roles = np.where(held, Role.VALIDATION, Role.TRAIN).astype(np.int8)
        record = BuildRecord(
            roles=roles,
            cpu_s=time.process_time() - start,
            wall_s=time.perf_counter() - clock,
            choices=tuple(choices),
            pictures=work.pictures(snapshots, teacher),
        )
        return Build(releases=releases, record=record)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Work:
    """The parts of one build, from its own images and seeds."""

    config: SynthesisConfig
    private: ImageDataset
    held: BoolArray
    context: BuildContext

    @property
    def fit(self) -> ImageDataset:
        """What nets learn from."""
        return self.private[np.flatnonzero(~self.held)]

    def seed(self, *parts: str | int) -> int:
        return integer_seed(self.context.seed, "synthesis", *parts)

    def net(self, *parts: str | int) -> torch.nn.Module:
        return build_net(
            self.config.net,
            image_shape=self.private.image_shape,
            n_classes=self.private.n_classes,
            seed=self.seed("weights", *parts),
        ).to(self.context.device)

    def teacher(self) -> torch.nn.Module:
        """The net that answers; a stage."""
        net, fit = self.net("teacher"), self.fit

        def make(folder: Path) -> None:
            data = TrainingData.of(fit.images, fit.classes, device=self.context.device)
            train(
                net,
                data,
                self.config.recipe,
                seed=self.seed("teacher"),
                progress=self.context.progress,
                label="teacher",
                expected_runs=SURE_BUILDS,
            )
            save_file(state_of(net), folder / "teacher.safetensors")

        key: dict[str, Json] = {
            "net": self.config.net.model_dump(mode="json"),
            "recipe": self.config.recipe.model_dump(mode="json"),
            "holdout": self.config.selection.holdout,
            "seed": self.seed("teacher"),
        }
        folder = self.context.stages.get("teacher", key, make)
        net.load_state_dict(load_file(folder / "teacher.safetensors"))
        return net.to(self.context.device).eval()

    def snapshots(self) -> list[Snapshot]:
        """States of the generator; each a stage."""
        fit, device = self.fit, self.context.device
        return train_gan(
            normalise(torch.from_numpy(np.array(fit.images)).to(device)),
            torch.from_numpy(np.array(fit.classes)).to(device),
            fit.n_classes,
            self.config.gan,
            seed=self.seed("generator", str(self.config.selection.holdout)),
            stages=self.context.stages,
            progress=self.context.progress,
        )

    def draw(
        self,
        snapshots: Sequence[Snapshot],
        setting: Setting,
        teacher: torch.nn.Module,
        *parts: str,
        most: int | None = None,
    ) -> Drawn:
        """A set of images, its classes in the shares of the private ones or as many of each."""
        own, device = snapshots[setting.snapshot].generator, self.context.device
        count = max(1, round(self.config.gkd.cardinality * len(self.private)))
        count = min(count, most or count)
        shares = np.full(self.private.n_classes, 1 / self.private.n_classes)
        if self.config.gkd.classes == "shares":
            shares = class_shares(self.fit.classes, self.private.n_classes)
        rng = generator(self.seed("labels", *parts), "labels")
        wanted = np.repeat(np.arange(len(shares)), largest_remainder(shares, count))
        labels = torch.from_numpy(rng.permutation(wanted)).to(device)
        return draw_images(
            own,
            labels,
            teacher,
            latent=own.latent,
            sigma=setting.sigma,
            threshold=setting.threshold,
            classes=self.private.n_classes,
            generator=torch.Generator(device).manual_seed(self.seed("draw", *parts)),
        )

    def student(
        self,
        snapshots: Sequence[Snapshot],
        setting: Setting,
        teacher: torch.nn.Module,
        config: GkdConfig,
        *parts: str,
        steps: int | None = None,
        progress: Progress | None = None,
    ) -> torch.nn.Module:
        """A net trained on generated images."""
        net = self.net(*parts)
        # A short trial sees a part of a large set: the rest need not be drawn.
        most = steps and steps * self.config.recipe.batch_size
        train_student(
            net,
            lambda epoch: self.draw(snapshots, setting, teacher, *parts, str(epoch), most=most),
            teacher,
            self.config.recipe,
            config,
            steps=steps,
            seed=self.seed(*parts),
            progress=progress or self.context.progress,
            label=parts[0],
            expected_runs=SURE_BUILDS * self.config.candidates,
        )
        return net

    def chosen(
        self, snapshots: Sequence[Snapshot], teacher: torch.nn.Module
    ) -> tuple[Setting, list[Choice]]:
        """The setting whose students do best on the held-out images; a stage."""
        held = self.private[np.flatnonzero(self.held)]

        def teach(setting: Setting, steps: int, repeat: int) -> float:
            parts = ("trial", str(setting.snapshot), f"{setting.sigma:g}/{setting.threshold:g}")
            net = self.student(
                snapshots,
                setting,
                teacher,
                self.config.gkd,
                *parts,
                str(repeat),
                steps=steps,
                progress=Silent(),  # The choice has a bar of its own, one step a student.
            )
            answers = predict(net, held.images, device=self.context.device).argmax(axis=1)
            present = np.unique(held.classes)
            return float(np.mean([(answers[held.classes == c] == c).mean() for c in present]))

        def make(folder: Path) -> None:
            setting, choices = select(
                [say("option.steps", steps=f"{snapshot.step:,}") for snapshot in snapshots],
                [snapshot.note for snapshot in snapshots],
                teach,
                self.config.selection,
                self.context.progress,
            )
            told = {"setting": asdict(setting), "choices": [c.to_json() for c in choices]}
            (folder / "chosen.json").write_text(json.dumps(told))

        key: dict[str, Json] = {
            **{name: getattr(self.config, name).model_dump(mode="json") for name in _MATTERS},
            "seed": self.seed("selection"),
        }
        told = json.loads(
            (self.context.stages.get("selection", key, make) / "chosen.json").read_text()
        )
        return Setting(**told["setting"]), [Choice.from_json(c) for c in told["choices"]]

    def pictures(
        self, snapshots: Sequence[Snapshot], teacher: torch.nn.Module
    ) -> dict[str, ByteArray]:
        """A row of images of each class for each state of the generator, from the same latents."""
        found = {}
        labels = torch.arange(self.private.n_classes).repeat_interleave(_SHOWN)
        for index, snapshot in enumerate(snapshots):
            device = self.context.device
            drawn = draw_images(
                snapshot.generator,
                labels.to(device),
                teacher,
                latent=snapshot.generator.latent,
                sigma=1.0,
                threshold=-1.0,
                classes=self.private.n_classes,
                generator=torch.Generator(device).manual_seed(self.seed("pictures")),
            )
            rows = (
                drawn.images.cpu()
                .numpy()
                .reshape(self.private.n_classes, _SHOWN, *self.private.image_shape)
            )
            wide = np.concatenate([rows[:, at] for at in range(_SHOWN)], axis=3)
            sheet = np.concatenate(list(wide), axis=1)
            found[f"generator-{index}"] = sheet
        return found


_MATTERS = ("net", "recipe", "gan", "selection", "gkd")


def hold_out(private: ImageDataset, share: float, *, seed: int) -> BoolArray:
    """Whole units to choose on, the share of each class, one at least where a class has two.

    Args:
        private: The private images of one build.
        share: Share of each class's units.
        seed: Seed of the build.

    Raises:
        DataError: Nothing is left to learn from, or nothing is held out.
    """
    units, first, of_image = np.unique(private.unit, return_index=True, return_inverse=True)
    chosen, rng = np.zeros(len(units), dtype=bool), generator(seed, "held out")
    for label in range(private.n_classes):
        own = rng.permutation(np.flatnonzero(private.classes[first] == label))
        count = min(max(1, round(share * len(own))), len(own) - 1)
        chosen[own[: max(0, count)]] = True
    held: BoolArray = chosen[of_image]
    if held.all() or not held.any():
        raise DataError(
            "too few images to hold some out for the choice of a generator",
            where=private.name,
            fix="Enlarge the pool.",
        )
    return held


def class_shares(classes: IntArray, n_classes: int) -> FloatArray:
    """Share of each class, ``float64 [C]``."""
    shares: FloatArray = np.bincount(classes, minlength=n_classes) / len(classes)
    return shares
