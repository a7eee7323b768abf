"""A first look in minutes: a few questions, each passed, failed or open by its whole interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sudare.core.findings import Finding
from sudare.core.lines import against
from sudare.core.runs import Thresholds

Outcome = Literal["pass", "warn", "fail"]
_USEFUL, _USELESS = 0.5, 0.1
"""Of the way from guessing to always right."""
_STANDS, _FALLS = 0.5, 0.1
"""Of the clean accuracy, what is left when every pixel moves by two grey levels."""
_MEMBERSHIP = {
    "loss": "by the loss of each image",
    "quantile": "by the loss against what such an image should have",
}
ADDED = (
    "What a full audit adds: attackers with shadow models (LiRA, RMIA, BaVarIA) and figures for "
    "the few most exposed images, for each class and group, at false-positive rates that matter; "
    "other ways to share beside this one; AutoAttack; gates. This first look has attackers who "
    "train nothing: a pass here is no pass there."
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One question about one release.

    Attributes:
        release: Its name.
        question: In words.
        outcome: Whole interval on the good side, on the bad side, or neither.
        told: The figure with its interval, or why there is none.
        line: What it was held against.
    """

    release: str
    question: str
    outcome: Outcome
    told: str
    line: str


def questions(
    findings: Sequence[Finding], release: str, *, n_classes: int, thresholds: Thresholds
) -> list[Answer]:
    """Is it useful, does it tell on members, does it stand a little noise?

    Args:
        findings: Of a run.
        release: Its name.
        n_classes: Number of classes; guessing is right in one of so many.
        thresholds: Lines for membership.
    """
    mine = {item.id: item for item in findings if item.release == release and not item.group}
    chance = 1 / n_classes
    found = [
        _answer(
            release,
            "Is it useful?",
            mine.get("utility.balanced_accuracy"),
            good=chance + _USEFUL * (1 - chance),
            bad=chance + _USELESS * (1 - chance),
            up=True,
        )
    ]
    for attack, how in _MEMBERSHIP.items():
        found.append(
            _answer(
                release,
                f"Does it tell who was in it, {how}?",
                mine.get(f"membership.{attack}.auc"),
                good=thresholds.share_auc,
                bad=thresholds.refuse_auc,
                up=False,
            )
        )
    clean = mine.get("evasion.clean.accuracy")
    if clean is not None and clean.value is not None:
        found.append(
            _answer(
                release,
                "Does it stand when every pixel moves by 2 of 255?",
                mine.get("evasion.pgd.accuracy@2"),
                good=_STANDS * clean.value,
                bad=_FALLS * clean.value,
                up=True,
            )
        )
    return found


def status_of(answers: Sequence[Answer]) -> int:
    """Exit status: 1 if any fails, 3 if none fails but one is open, else 0."""
    outcomes = {answer.outcome for answer in answers}
    return 1 if "fail" in outcomes else 3 if "warn" in outcomes else 0


def _answer(
    release: str, question: str, finding: Finding | None, *, good: float, bad: float, up: bool
) -> Answer:
    word = "at least" if up else "at most"
    line = f"pass {word} {good:.2f}, fail {'below' if up else 'above'} {bad:.2f}"
    passes = against(finding, good, at_most=not up)
    fails = against(finding, bad, at_most=not up)
    told = finding.numbers if finding is not None and finding.value is not None else ""
    if passes.why == "missing":
        told = finding.reason if finding else "not measured"
    elif passes.why == "no_width":
        told += ", equal in every build"
    return Answer(
        release=release,
        question=question,
        outcome="pass" if passes.holds else "fail" if fails.holds is False else "warn",
        told=told,
        line=line,
    )
