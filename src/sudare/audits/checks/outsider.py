"""What an attacker finds who does not imitate the pipeline: what non-adaptive audits report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sudare.attacks.signals import Phi
from sudare.audits.checks.base import (
    BuildResults,
    Check,
    CheckInput,
    Judgement,
    Measurement,
    Pooled,
    Preparation,
)
from sudare.audits.checks.judge import judge_scores
from sudare.audits.checks.outsider_config import OutsiderCheckConfig
from sudare.audits.checks.reference_models import plain_nets, train_plain
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import Float32Array
from sudare.core.errors import DataError
from sudare.core.figures import Figure
from sudare.core.hashing import hash_json
from sudare.core.seeds import generator, integer_seed
from sudare.core.threats import ThreatModel
from sudare.data.images import ImageDataset
from sudare.recipients.train import recipients_view

if TYPE_CHECKING:
    from sudare.releases.kinds import Release

_LEAST = 20
_USUAL = "usual.npy"


class OutsiderCheck(Check[OutsiderCheckConfig]):
    """How much surer the release's net is of an image than plain nets that never saw it.

    The shadows are classifiers of the attacker's own images, whatever the release is: nothing in
    them depends on whether the image was a member. It is what an audit measures whose shadows do
    not go through teacher, generator and student, and a lower bound on what is there to be found.

    Source:
        Watson et al. 2022, "On the importance of difficulty calibration in membership inference
        attacks". The public code of Resmini et al. 2025 comes down to this: its shadows are
        trained on test images only.
    """

    prepares = True
    figures = (
        Figure(id="outsider.auc", chance=0.5, worse="higher", edition="public"),
        Figure(
            id="outsider.tpr",
            format="percent",
            chance="rate",
            worse="higher",
            edition="public",
        ),
        Figure(id="outsider.null_auc", worse="higher", edition="public"),
    )

    def prepare(self, given: Preparation, folder: Path) -> None:
        """Train plain nets on random halves of the population.

        Raises:
            DataError: Too small a population.
        """
        config, images = self.config, given.population
        if len(images) < _LEAST:
            raise DataError(
                f"an attacker without the pipeline needs images of their own, at least {_LEAST}",
                where="data.population",
                fix="Raise data.population, or leave the check out.",
            )
        seeds = [integer_seed(given.seed, "shadow", index) for index in range(config.shadows)]
        halves = [
            images[np.sort(generator(seed, "half").permutation(len(images))[: len(images) // 2])]
            for seed in seeds
        ]
        train_plain(
            halves,
            given,
            folder,
            net=config.net,
            recipe=config.recipe,
            seeds=seeds,
            expected_runs=len(halves),
        )

    def attacks(self, kind: type[Release]) -> Mapping[str, ThreatModel]:
        """One attack, on the scores that a release gives."""
        return {"outsider": kind.scores_as}

    def measure(self, tested: CheckInput) -> Measurement:
        """Confidence of the release's nets above the mean of the plain ones, each pool image."""
        if tested.pooled is None:
            raise TypeError("this check measures plain nets once")
        usual = np.load(tested.pooled / _USUAL)
        scores = _confidence(tested.nets, tested.pool, tested.device) - usual
        sees = np.array(str(tested.release.scores_as))
        return Measurement(arrays={"scores": scores, "sees": sees})

    def pools(self) -> bool:
        """What the plain nets say is the same beside every build."""
        return True

    def prepare_pool(self, given: Pooled, folder: Path) -> None:
        """Mean confidence of the plain nets in the class of each pool image, ``[n]``."""
        if given.prepared is None:
            raise TypeError("this check prepares nets")
        shadows = plain_nets(
            given.prepared,
            self.config.shadows,
            given.pool,
            net=self.config.net,
            device=given.device,
        )
        np.save(folder / _USUAL, _confidence(shadows, given.pool, given.device))

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """AUC, TPR and the null control."""
        found = judge_scores(
            "outsider",
            stack.arrays["scores"],
            stack,
            maker,
            threat=ThreatModel(str(stack.arrays["sees"][0])),
            config_hash=hash_json(self.config.model_dump(mode="json", exclude={"builds"})),
        )
        return Judgement(findings=found)


def _confidence(nets: tuple[torch.nn.Module, ...], pool: ImageDataset, device: str) -> Float32Array:
    """Mean confidence of some nets in the class of each image, ``[n]``."""
    view = recipients_view(nets, device=device)
    found: Float32Array = Phi(queries=1).measure(view, pool.images, pool.classes, seed=0)[:, 0]
    return found
