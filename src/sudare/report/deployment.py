"""Who will hold a release, and what of a run's figures is possible for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sudare.core import Finding
from sudare.core.threats import ThreatModel
from sudare.core.wording import listed, say
from sudare.report.load import Run
from sudare.report.text import sees

_BEST_FIRST = ("boundary_calibrated", "boundary", "gap", "nearest_calibrated", "nearest")
"""Of attackers who see less than scores, the one to go by is the first of these that ran."""


def possible(run: Run) -> Run:
    """The run as its declared holder can know it: only figures of attackers who see no more.

    Where the primary attack is not among them, another one is: the strongest kind of those that
    ran for what the holder sees, declared in advance. A run that declares no holder is itself.
    """
    seen = set(run.summary.deployment.sees)
    if not seen:
        return run
    kept = tuple(
        finding
        for finding in run.findings
        if finding.threat_model.value in seen or finding.threat_model == ThreatModel.NONE
    )
    primary = {threat: attack for threat, attack in run.summary.primary.items() if threat in seen}
    for threat in seen - set(primary):
        attack = _attack(threat, kept)
        if attack:
            primary[threat] = attack
    summary = run.summary.model_copy(update={"primary": primary})
    return replace(run, findings=kept, summary=summary)


def _attack(threat: str, findings: Sequence[Finding]) -> str:
    ran = [
        finding.id.split(".")[1]
        for finding in findings
        if finding.threat_model.value == threat
        and finding.id.startswith("membership.")
        and finding.id.endswith(".auc")
    ]
    best = [name for name in _BEST_FIRST if name in ran] or ran[:1]
    return f"membership.{best[0]}" if best else ""


def holder_sentence(run: Run) -> str:
    """What the verdict counts, in a sentence; empty where no holder is declared."""
    deployment = run.summary.deployment
    if not deployment.sees:
        return ""
    phrases = list(dict.fromkeys(sees(ThreatModel(threat)) for threat in deployment.sees))
    return say("answer_holder", who=deployment.holder or say("somebody"), sees=listed(phrases))
