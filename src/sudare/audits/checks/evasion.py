"""Evasion of a release's net: accuracy under attacks in a ball, and under common corruptions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from sudare.attacks.evasion import EvasionAttack, PixelNet
from sudare.attacks.evasion.base import fooled
from sudare.attacks.evasion.corruptions import CORRUPTIONS, corrupt
from sudare.attacks.registry import EVASION
from sudare.audits.checks.base import (
    BuildResults,
    Check,
    CheckInput,
    Judgement,
    Measurement,
    Picture,
)
from sudare.audits.checks.evasion_config import EvasionCheckConfig
from sudare.audits.finding_context import FindingContext
from sudare.core.figures import Figure
from sudare.core.findings import Finding
from sudare.core.hashing import hash_json
from sudare.core.seeds import generator, integer_seed
from sudare.core.threats import ThreatModel
from sudare.core.wording import say
from sudare.metrics import crossed_share, largest_difference
from sudare.recipients.heads import FeatureNet

if TYPE_CHECKING:
    from sudare.core.arrays import ByteArray

_PAIRS = 4


def attack_class(name: str) -> type[EvasionAttack]:
    """The attack behind a name."""
    return cast("type[EvasionAttack]", EVASION.load(name))


def _accuracy_under(name: str) -> Figure:
    """The figure of an attack; one of another package is called what it calls itself."""
    label, row = attack_class(name).label, "figure.evasion.*.accuracy.name"
    named = say(row, attack=label, at="{at}") if label else ""
    return Figure(id=f"evasion.{name}.accuracy", name=named, worse="lower", edition="public")


class EvasionCheck(Check[EvasionCheckConfig]):
    """Evasion attacks of bounded size and common corruptions, on the net that answers.

    For releases that recipients train on, the net is the first recipient's.
    """

    figures = (
        Figure(id="evasion.clean.accuracy", edition="public"),
        *map(_accuracy_under, EVASION),
        Figure(id="evasion.autoattack.accuracy", worse="lower", edition="public"),
        Figure(id="evasion.corruptions.accuracy", edition="public"),
        Figure(id="evasion.masking", worse="higher", edition="public"),
    )

    def measure(self, tested: CheckInput) -> Measurement:
        """Which images stay right under each attack and epsilon."""
        config, device = self.config, tested.device
        own = tested.nets[0]
        count = config.extractor_images if isinstance(own, FeatureNet) else config.images
        chosen = generator(0, "evasion images").permutation(len(tested.test))[:count]
        part = tested.test[np.sort(chosen)]
        net = PixelNet(own).to(device)
        images = torch.from_numpy(np.array(part.images)).to(device).float() / 255
        labels = torch.from_numpy(np.array(part.classes)).to(device)
        right = ~fooled(net, images, labels)
        robust = torch.zeros(len(config.attacks), len(config.epsilons), len(images))
        worst = images
        for row, name in enumerate(config.attacks):
            for column, epsilon in enumerate(config.epsilons):
                seed = integer_seed(tested.seed, name, str(epsilon))
                changed = self._attacked(net, name, epsilon / 255, images, labels, seed)
                still = ~fooled(net, changed, labels)
                robust[row, column] = still
                newly = ~still & right & (worst == images).flatten(1).all(dim=1)
                worst = torch.where(newly[:, None, None, None], changed, worst)
        arrays = {"right": right.cpu().numpy(), "robust": robust.bool().numpy()}
        if config.corruptions:
            arrays["corrupted"] = self._corrupted(net, images, labels, tested.seed)
        return Measurement(arrays=arrays, pictures=_pictures(images, worst))

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """Accuracies over builds, AutoAttack as all of its attacks, and signs of masking."""
        config, robust = self.config, stack.arrays["robust"]
        settings = hash_json(config.model_dump(mode="json", exclude={"builds"}))
        whole = ThreatModel.CLASSIFIER_WEIGHTS
        shared = partial(_share, maker, threat=whole, attack_hash=settings)
        found = [_share(maker, "evasion.clean.accuracy", stack.arrays["right"])]
        auto = [row for row, name in enumerate(config.attacks) if attack_class(name).in_autoattack]
        for column, epsilon in enumerate(config.epsilons):
            for row, name in enumerate(config.attacks):
                found.append(shared(f"evasion.{name}.accuracy@{epsilon:g}", robust[:, row, column]))
            if auto:
                still = np.asarray(robust[:, auto, column].all(axis=1))
                found.append(shared(f"evasion.autoattack.accuracy@{epsilon:g}", still))
        if (gaps := self._masking(robust)) is not None:
            # The largest of noisy differences is no sign: it is chosen on half of the images.
            masking = largest_difference(gaps, rng=generator(stack.seed, "halves", "masking"))
            found.append(
                maker.finding("evasion.masking", masking, threat=whole, attack_hash=settings)
            )
        if "corrupted" in stack.arrays:
            corrupted = stack.arrays["corrupted"]
            found.append(_share(maker, "evasion.corruptions.accuracy", corrupted))
        return Judgement(findings=found)

    def _attacked(
        self,
        net: PixelNet,
        name: str,
        epsilon: float,
        images: torch.Tensor,
        labels: torch.Tensor,
        seed: int,
    ) -> torch.Tensor:
        config = self.config
        attack = attack_class(name).of_budget(
            epsilon=epsilon, steps=config.steps, queries=config.queries, classes=config.targets
        )
        return attack(net, images, labels, seed=seed)

    def _corrupted(
        self, net: PixelNet, images: torch.Tensor, labels: torch.Tensor, seed: int
    ) -> np.ndarray:
        """For each image the share of corruptions and severities under which the net is right."""
        right = [
            ~fooled(net, corrupt(images, kind, level, seed=seed), labels)
            for kind in CORRUPTIONS
            for level in range(1, 6)
        ]
        share: np.ndarray = torch.stack(right).double().mean(dim=0).cpu().numpy()
        return share

    def _masking(self, robust: np.ndarray) -> np.ndarray | None:
        """By how much each weaker attack does better, ``[K, N, n]``, at each size of the ball."""
        white: list[int] = []
        weak: list[int] = []
        for row, name in enumerate(self.config.attacks):
            (white if attack_class(name).follows_gradients else weak).append(row)
        if not white or not weak:
            return None
        strongest = np.asarray(robust[:, white].all(axis=1), dtype=np.float64)[:, None]
        gaps = strongest - robust[:, weak]
        builds, _, _, images = gaps.shape
        apart: np.ndarray = np.moveaxis(gaps.reshape(builds, -1, images), 1, 0)
        return apart


def _share(
    maker: FindingContext,
    name: str,
    right: np.ndarray,
    *,
    threat: ThreatModel = ThreatModel.NONE,
    attack_hash: str = "",
) -> Finding:
    """Share of images that stay right; builds are attacked on the same ones."""
    estimate = crossed_share(right.astype(np.float64))
    return maker.finding(name, estimate, threat=threat, attack_hash=attack_hash)


def _pictures(images: torch.Tensor, worst: torch.Tensor) -> dict[str, Picture]:
    """Images that were fooled, the image above what fooled the net."""
    rows = torch.nonzero((images != worst).flatten(1).any(dim=1))[:_PAIRS, 0]
    if not len(rows):
        return {}
    columns = [torch.cat([images[row], worst[row]], dim=1) for row in rows]
    sheet: ByteArray = (torch.cat(columns, dim=2) * 255).round().byte().cpu().numpy()
    caption = say("caption.fooled")
    return {"fooled": Picture(image=sheet, caption=caption)}
