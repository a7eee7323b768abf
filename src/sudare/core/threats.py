"""What an attacker sees, by name. Every finding carries one of these."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ThreatModel"]


class ThreatModel(StrEnum):
    """The threat models of the design; ``sees`` says each in one sentence."""

    NONE = "none"
    CLASSIFIER_LABELS = "classifier/labels"
    CLASSIFIER_LOGITS = "classifier/logits"
    CLASSIFIER_WEIGHTS = "classifier/weights"
    SAMPLES_SET = "samples/set"
    SAMPLES_RECIPIENT = "samples/recipient"

    @property
    def sees(self) -> str:
        """What the attacker sees, in one sentence."""
        return _SEES[self]


_SEES = {
    ThreatModel.NONE: "No attacker: this number describes use or cost.",
    ThreatModel.CLASSIFIER_LABELS: "The top-1 answer of the classifier for any image.",
    ThreatModel.CLASSIFIER_LOGITS: "The scores of every class for any image.",
    ThreatModel.CLASSIFIER_WEIGHTS: "The weights and everything computed from them.",
    ThreatModel.SAMPLES_SET: "The released images and labels themselves.",
    ThreatModel.SAMPLES_RECIPIENT: "Only the scores of a model that somebody trained on them.",
}
