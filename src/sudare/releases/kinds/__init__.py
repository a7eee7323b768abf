"""Releases in memory, by what they can do: one file a kind, with its views by threat model."""

from sudare.releases.kinds.base import (
    AskedOnce,
    FeatureLesson,
    LabelsView,
    Lesson,
    LogitsView,
    Release,
    SetView,
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
    "AskedOnce",
    "BoundsView",
    "ClassifierRelease",
    "ClassifierSpec",
    "DrawsView",
    "FeatureLesson",
    "LabelsView",
    "Lesson",
    "LogitsView",
    "Release",
    "SamplerRelease",
    "SamplerSpec",
    "SamplerView",
    "SamplesRelease",
    "SamplesSpec",
    "SetView",
    "View",
    "WeightsView",
]
