"""Releases in memory, by what they can do: one file a kind, with its views by threat model."""

from sudare.releases.kinds.base import (
    CachedLogits,
    FeatureSource,
    LabelsView,
    LogitsView,
    Release,
    SetView,
    TrainingSet,
    View,
    WeightsView,
)
from sudare.releases.kinds.classifier import ClassifierRelease, ClassifierSpec
from sudare.releases.kinds.sampler import (
    BoundsView,
    DrawsView,
    SamplerRelease,
    SamplerSpec,
    SamplerView,
)
from sudare.releases.kinds.samples import SamplesRelease, SamplesSpec

__all__ = [
    "BoundsView",
    "CachedLogits",
    "ClassifierRelease",
    "ClassifierSpec",
    "DrawsView",
    "FeatureSource",
    "LabelsView",
    "LogitsView",
    "Release",
    "SamplerRelease",
    "SamplerSpec",
    "SamplerView",
    "SamplesRelease",
    "SamplesSpec",
    "SetView",
    "TrainingSet",
    "View",
    "WeightsView",
]
