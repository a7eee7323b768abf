"""Builds a distribution of features: images to vectors, vectors to a fitted model, a card."""

from __future__ import annotations

import time

import numpy as np

from sudare.core.errors import DataError
from sudare.core.seeds import integer_seed
from sudare.data.images import ImageDataset
from sudare.nets.extractors.base import Extractor
from sudare.nets.extractors.features import FeatureStore, features_of
from sudare.nets.extractors.make import make_extractor
from sudare.releases.card import Card
from sudare.releases.kinds import SamplerRelease, SamplerSpec
from sudare.routes.base import Build, BuildRecord, Route, card_for
from sudare.routes.context import BuildContext
from sudare.routes.features.config import (
    CvaeConfig,
    DpGaussianConfig,
    FeaturesConfig,
    GaussianConfig,
    KSameConfig,
)
from sudare.routes.features.cvae import fit_cvae
from sudare.routes.features.dp_gaussian import fit_dp_gaussian
from sudare.routes.features.fitting import Fit, Private
from sudare.routes.features.gaussian import fit_gaussian
from sudare.routes.features.ksame import fit_ksame


class FeaturesRoute(Route[FeaturesConfig]):
    """Fits a distribution to the private images' features and shares it.

    Source:
        Di Salvo et al. 2024, "Privacy-preserving datasets by capturing feature distributions with
        conditional VAEs"; the Gaussians and the within-class k-same are its plainest rivals.
    """

    def _build(self, private: ImageDataset, context: BuildContext) -> Build:
        extractor = make_extractor(self.config.extractor)
        shelf = context.shared.get("features")
        book = FeatureStore.at(shelf, extractor.fingerprint, device=context.device)
        features, public = (
            features_of(
                extractor, part.images, book=book, device=context.device, progress=context.progress
            )
            for part in (private, context.public)
        )
        if not np.isfinite(features).all():
            raise DataError(
                f"{self.config.extractor.label} gives features that are not finite",
                where=private.name,
                fix="Check the extractor's weights and what its images are divided by.",
            )
        start, clock = time.process_time(), time.perf_counter()
        fit = _fit(
            Private(
                features=features,
                labels=private.classes,
                class_names=private.class_names,
                public=public,
                seed=integer_seed(context.seed, "features"),
                leaves=context.leaves,
                device=context.device,
                progress=context.progress,
                name=private.name,
            ),
            self.config,
        )
        cpu_s, wall_s = time.process_time() - start, time.perf_counter() - clock
        card = self._card(private, extractor, fit, cpu_s)
        release = SamplerRelease(card=card, sampler=fit.sampler).as_stored()
        record = BuildRecord(roles=fit.roles_of(len(private)), cpu_s=cpu_s, wall_s=wall_s)
        return Build(releases={self.config.name: release}, record=record)

    def _card(self, private: ImageDataset, extractor: Extractor, fit: Fit, cpu_s: float) -> Card:
        config, model = self.config, self.config.model
        settings = {f"model.{name}": str(value) for name, value in model}
        settings |= {f"fit.{name}": value for name, value in fit.settings.items()}
        numbers = sum(value.numel() for value in fit.sampler.tensors().values())
        size = numbers * (2 if config.precision == "fp16" else 4)
        return card_for(
            config,
            private,
            SamplerSpec(
                family=fit.sampler.family,
                extractor=config.extractor,
                fingerprint=extractor.fingerprint,
                dim=fit.sampler.dim,
                bounds=model.range_from if isinstance(model, CvaeConfig) else "none",
                precision=config.precision,
            ),
            settings={**settings, "fit.cpu_s": f"{cpu_s:.1f}", "size_mb": f"{size / 1e6:.2f}"},
            statistics=fit.statistics,
            ledger=fit.ledger,
            guarantee=fit.guarantee,
        )


def _fit(private: Private, config: FeaturesConfig) -> Fit:
    match config.model:
        case CvaeConfig():
            return fit_cvae(private, config.model)
        case GaussianConfig():
            return fit_gaussian(private, config.model)
        case KSameConfig():
            return fit_ksame(private, config.model)
        case DpGaussianConfig():
            return fit_dp_gaussian(private, config.model)
