"""Releases in memory, by what they can do: one file a kind, with its views by threat model."""

from sudare.releases.kinds.base import (
    LabelsView,
    Lesson,
    LogitsView,
    Release,
    SetView,
    View,
    WeightsView,
)
from sudare.releases.kinds.classifier import ClassifierRelease, ClassifierSpec
from sudare.releases.kinds.samples import SamplesRelease, SamplesSpec

__all__ = [
    "ClassifierRelease",
    "ClassifierSpec",
    "LabelsView",
    "Lesson",
    "LogitsView",
    "Release",
    "SamplesRelease",
    "SamplesSpec",
    "SetView",
    "View",
    "WeightsView",
]
