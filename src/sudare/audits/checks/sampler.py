"""Attacks on a released distribution itself: T0 its ranges, T1 its samples, T2 its numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from sudare.attacks.features.bounds import bounds_touched
from sudare.attacks.features.latent import LatentSearch
from sudare.attacks.features.nearest import covered, nearest_distance
from sudare.audits.checks.base import BuildResults, Check, CheckInput, Judgement, Measurement
from sudare.audits.checks.judge import judge_scores
from sudare.audits.checks.sampler_config import SamplerCheckConfig
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import Float32Array, FloatArray, IntArray
from sudare.core.errors import AuditError
from sudare.core.figures import Figure
from sudare.core.findings import Finding
from sudare.core.hashing import hash_json
from sudare.core.seeds import generator, integer_seed
from sudare.core.threats import ThreatModel
from sudare.core.wording import say
from sudare.data.images import ImageDataset
from sudare.metrics import mean_over_builds
from sudare.recipients.heads import FeatureNet
from sudare.releases.kinds import BoundsView, DrawsView, Release, SamplerView
from sudare.releases.samplers import DecoderSampler

T0, T1, T2 = (ThreatModel(f"sampler/T{level}") for level in range(3))
_REFERENCE = 1_000
"""Pool images that spread and coverage are measured against."""
_ATTACKS = {"sampler.nearest": T1, "sampler.latent": T2, "sampler.likelihood": T2}


class SamplerCheck(Check[SamplerCheckConfig]):
    """What the ranges, the samples and the numbers of a distribution tell of membership.

    None of these attacks is calibrated with shadows: what the report shows beside them, the
    whole pipeline against a recipient's head (T3), is.
    """

    figures = (
        Figure(id="sampler.bounds.tpr", format="percent", worse="higher", edition="public"),
        Figure(id="sampler.bounds.fpr", format="percent", edition="public"),
        *(
            figure
            for attack in _ATTACKS
            for figure in (
                Figure(id=f"{attack}.auc", chance=0.5, worse="higher", edition="public"),
                Figure(
                    id=f"{attack}.tpr",
                    format="percent",
                    chance="rate",
                    worse="higher",
                    edition="public",
                ),
                Figure(id=f"{attack}.null_auc", worse="higher", edition="public"),
            )
        ),
        Figure(id="sampler.variance_ratio", edition="public"),
        Figure(id="sampler.coverage", format="percent", edition="public"),
    )

    def not_for(self, kind: type[Release]) -> str:
        """Only distributions have samples and numbers to attack."""
        return "" if T1 in kind.views else "it is no distribution that can be drawn from"

    def attacks(self, kind: type[Release]) -> Mapping[str, ThreatModel]:
        """Distance to samples, and what can be computed from the numbers."""
        return dict(_ATTACKS)

    def measure(self, tested: CheckInput) -> Measurement:
        """Scores of every pool image against one release."""
        (net, *_), release, device = tested.nets, tested.release, tested.device
        if not isinstance(net, FeatureNet):
            raise AuditError("a sampler's recipients train heads", where="sampler")
        pool = tested.pool
        features = net.features(pool.images, device=device)
        draws = release.expose(T1, device=device)
        if not isinstance(draws, DrawsView):
            raise TypeError("sampler/T1 must give a view that draws")
        per_class = self.config.samples_per_class
        samples, of_class = draws.draw(per_class, integer_seed(tested.seed, "samples"))
        arrays: dict[str, np.ndarray] = {
            "nearest": -nearest_distance(features, pool.classes, samples, of_class)
        }
        reference = generator(0, "reference").permutation(len(pool))[:_REFERENCE]
        arrays["covered"] = covered(features[reference], samples)
        arrays["spread"] = np.array(_spread_kept(features, pool.classes, samples, of_class))
        bounds = release.expose(T0, device=device)
        if isinstance(bounds, BoundsView) and bounds.low is not None and bounds.high is not None:
            others = net.features(tested.population.images, device=device)
            arrays["bounds"] = bounds_touched(features, bounds.low, bounds.high, others)
        arrays |= self._on_numbers(release, pool, features, device)
        return Measurement(arrays=arrays)

    def _on_numbers(
        self, release: Release, pool: ImageDataset, features: Float32Array, device: str
    ) -> dict[str, np.ndarray]:
        view = release.expose(T2, device=device)
        if not isinstance(view, SamplerView):
            raise TypeError("sampler/T2 must give the distribution")
        sampler = view.sampler
        labels = torch.from_numpy(np.ascontiguousarray(pool.classes))
        density = sampler.log_density(torch.from_numpy(features), labels)
        if density is not None:
            return {"likelihood": density.numpy()}
        if not isinstance(sampler, DecoderSampler) or not self.config.latent_images:
            return {}
        columns = _one_of_each_unit(pool.unit, self.config.latent_images)
        search = LatentSearch(steps=self.config.latent_steps)
        distances = search.distance(
            sampler, features[columns], pool.classes[columns], device=device
        )
        return {"latent": -distances, "latent_columns": columns}

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """AUC and TPR of each attack, bounds touched by members and others, spread, coverage."""
        arrays = stack.arrays
        found: list[Finding] = []
        settings = hash_json(self.config.model_dump(mode="json", exclude={"builds"}))
        if "bounds" in arrays:
            touched = arrays["bounds"] > 0
            for name, side in (("tpr", stack.membership), ("fpr", ~stack.membership)):
                share = (touched & side).sum(axis=1) / side.sum(axis=1)
                estimate = mean_over_builds(share, bounds=(0.0, 1.0))
                found.append(maker.finding(f"sampler.bounds.{name}", estimate, threat=T0))
        else:
            found += [
                maker.not_applicable(f"sampler.bounds.{name}", T0, say("reason.no_ranges"))
                for name in ("tpr", "fpr")
            ]
        for attack, threat in _ATTACKS.items():
            name = attack.partition(".")[2]
            if name not in arrays:
                reason = say("reason.no_search")
                found.append(maker.not_applicable(f"{attack}.auc", threat, reason))
                continue
            columns: IntArray | None = None
            if f"{name}_columns" in arrays:
                columns = arrays[f"{name}_columns"][0].astype(np.int64)
            found += judge_scores(
                f"sampler.{name}",
                _finite(arrays[name]),
                stack,
                maker,
                threat=threat,
                columns=columns,
                config_hash=settings,
            )
        spread = mean_over_builds(arrays["spread"].astype(np.float64), bounds=(0.0, np.inf))
        share = arrays["covered"].mean(axis=1)
        found.append(maker.finding("sampler.variance_ratio", spread, unit="ratio"))
        coverage = mean_over_builds(share, bounds=(0.0, 1.0))
        return Judgement(findings=[*found, maker.finding("sampler.coverage", coverage)])


def _spread_kept(
    features: Float32Array, labels: IntArray, samples: Float32Array, of_class: IntArray
) -> float:
    """Root of the total variance of samples over that of images, mean over classes."""
    ratios = []
    for label in np.unique(labels):
        own, drawn = features[labels == label], samples[of_class == label]
        real = own.var(axis=0, dtype=np.float64).sum()
        if real > 0:
            ratios.append(np.sqrt(drawn.var(axis=0, dtype=np.float64).sum() / real))
    return float(np.mean(ratios))


def _one_of_each_unit(units: IntArray, count: int) -> IntArray:
    """Pool images that are searched for: one of each unit, the same for every build."""
    first = np.unique(units, return_index=True)[1]
    drawn: IntArray = np.sort(generator(0, "latent columns").permutation(first)[:count])
    return drawn


def _finite(scores: np.ndarray) -> FloatArray:
    """Scores as ``float64``; what is infinitely far is as far as what is farthest."""
    values: FloatArray = scores.astype(np.float64)
    least = values[np.isfinite(values)].min(initial=0.0)
    return np.where(np.isfinite(values), values, least)
