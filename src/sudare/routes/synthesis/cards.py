"""Releases of a synthesis build with their cards: images, their student, the generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from sudare.data.images import ImageDataset
from sudare.nets.predict import predict
from sudare.nets.weights import state_of
from sudare.releases.card import Card, Spec, Statistic
from sudare.releases.kinds import ClassifierRelease, ClassifierSpec, SamplesRelease, SamplesSpec
from sudare.releases.kinds.generator import GeneratorRelease, GeneratorSpec
from sudare.routes.base import card_for
from sudare.routes.synthesis.config import SynthesisConfig
from sudare.routes.synthesis.gkd import Drawn, soft_targets
from sudare.routes.synthesis.selection import Setting, filter_name

if TYPE_CHECKING:
    from sudare.nets.generator import Generator
    from sudare.routes.config import PlannedRelease

_LEAST_ACCEPTED = 0.05
"""Share of a class's samples below which the filter took next to nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SynthesisCards:
    """What cards say of a build's releases."""

    config: SynthesisConfig
    private: ImageDataset
    step: int
    setting: Setting
    accepted: tuple[float, ...]

    @property
    def failed(self) -> list[str]:
        """Classes of which the filter took next to nothing."""
        shares = zip(self.private.class_names, self.accepted, strict=True)
        return [name for name, share in shares if share < _LEAST_ACCEPTED]

    def images(
        self, planned: PlannedRelease, drawn: Drawn, teacher: torch.nn.Module
    ) -> SamplesRelease:
        """A set with soft labels and the recipe of the student."""
        images = drawn.images.cpu().numpy()
        logits = torch.from_numpy(predict(teacher, images, device=str(drawn.labels.device)))
        soft = soft_targets(logits.float(), drawn.labels.cpu(), self.config.gkd)
        recipe = self.config.recipe
        per_epoch = -(-len(images) // min(recipe.batch_size, len(images)))
        told = recipe.model_dump(
            mode="json", include={"batch_size", "optimizer", "lr", "weight_decay", "augmentation"}
        )
        spec = SamplesSpec(
            initial="noise",
            recipe={**told, "steps": recipe.steps or recipe.epochs * per_epoch},
        )
        return SamplesRelease(
            card=self._card(planned, spec), images=images, soft_labels=soft.numpy()
        )

    def net(self, planned: PlannedRelease, net: torch.nn.Module) -> ClassifierRelease:
        """A net with its weights."""
        state = state_of(net)
        return ClassifierRelease(
            card=self._card(planned, ClassifierSpec(net=self.config.net)), state=state
        )

    def generator(self, planned: PlannedRelease, net: Generator) -> GeneratorRelease:
        """The chosen state of the generator, to be drawn from as it was chosen."""
        config = self.config
        spec = GeneratorSpec(
            latent=config.gan.latent,
            width=config.gan.width,
            sigma=self.setting.sigma,
            images=max(1, round(config.gkd.cardinality * len(self.private))),
        )
        state = state_of(net)
        card = self._card(planned, spec)
        told = Statistic(name="weights of the generator", value="as trained", status="leak")
        return GeneratorRelease(
            card=card.model_copy(update={"statistics": (*card.statistics, told)}), state=state
        )

    def _card(self, planned: PlannedRelease, spec: Spec) -> Card:
        config, setting = self.config, self.setting
        settings = {f"gan.{name}": str(value) for name, value in config.gan}
        settings |= {f"gkd.{name}": str(value) for name, value in config.gkd}
        settings |= {f"recipe.{name}": str(value) for name, value in config.recipe}
        taken = [
            f"{name} {100 * share:.0f} %"
            for name, share in zip(self.private.class_names, self.accepted, strict=True)
        ]
        statistics = [
            Statistic(
                name="generator's state", value=f"{self.step} steps, by held-out CAS", status="leak"
            ),
            Statistic(name="sigma", value=f"{setting.sigma:g}, by held-out CAS", status="leak"),
            Statistic(
                name="filter",
                value=f"{filter_name(setting.threshold)}, by held-out CAS",
                status="leak",
            ),
            Statistic(name="images the filter took", value=", ".join(taken), status="leak"),
            Statistic(
                name="number of images"
                if config.gkd.classes == "equal"
                else "classes' shares and number",
                value="as private",
                status="leak",
            ),
        ]
        if self.failed:
            statistics.append(
                Statistic(
                    name="classes the generator failed at",
                    value=", ".join(self.failed),
                    status="leak",
                )
            )
        return card_for(
            config,
            self.private,
            spec,
            kind=planned.kind,
            title=planned.label,
            what_leaves=planned.what_leaves,
            settings=settings,
            statistics=tuple(statistics),
        )
