"""Scores of one attack, judged: how well they tell members, with intervals and a null control."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sudare.audits.checks.base import BuildResults
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding
from sudare.core.seeds import generator
from sudare.core.threats import ThreatModel
from sudare.core.wording import say
from sudare.metrics import (
    AttackEstimates,
    auc,
    mean_over_builds,
    membership_estimates,
    precision_at_prior,
)

AUC = "AUC"
"""Unit of an area under an ROC curve."""

_LEVEL = 0.01
"""Of a run's null controls together: a failed one leaves a release without an answer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedScores:
    """Scores of one attack on a release, and what they are judged against.

    Attributes:
        name: What findings are called, without the figure.
        maker: Fills in what findings about the release share.
        scores: ``float64 [targets, n]``, higher for members.
        members: ``bool [targets, n]``.
        units: ``int64 [n]``.
        threat: What the attacker sees.
        alphas: False-positive rates.
        draws: Bootstrap draws.
        seed: Seed of the bootstrap; attacks of one seed on the same images share their draws of
            units, so that their largest deviation is known.
        config_hash: Hash of the attack's settings.
    """

    name: str
    maker: FindingContext
    scores: FloatArray
    members: BoolArray
    units: IntArray
    threat: ThreatModel
    alphas: tuple[float, ...]
    draws: int
    seed: tuple[int, str, str]
    config_hash: str = ""

    @cached_property
    def estimates(self) -> AttackEstimates:
        """How well the scores tell members, with intervals over units."""
        return membership_estimates(
            self.scores,
            self.members,
            self.units,
            rng=generator(*self.seed),
            alphas=self.alphas,
            draws=self.draws,
        )

    def findings(self, *, prior: float | None = None) -> list[Finding]:
        """AUC and TPR at low FPR; also precision and balanced accuracy with a prior.

        Args:
            prior: Share of members among the images an attacker has.
        """
        estimates = self.estimates
        found = [self.finding("auc", estimates.auc, unit=AUC)]
        found += [self.finding(f"tpr@{a:g}", estimate) for a, estimate in estimates.tpr_at.items()]
        if prior is not None:
            found += [
                self.finding(f"precision@{a:g}", precision_at_prior(estimate, alpha=a, prior=prior))
                for a, estimate in estimates.tpr_at.items()
            ]
            found.append(self.finding("balanced_accuracy", estimates.balanced_accuracy))
        return found

    def null_control(self, aucs: Sequence[float], *, controls: int) -> Finding:
        """The AUC under membership drawn anew by pairs, where it must be one half.

        The interval is over the draws, which are independent given the scores: no assumption
        about the attack or the scores enters.

        Args:
            aucs: The AUC under each draw.
            controls: Controls of the whole run, among which the error is shared.
        """
        # One run in a hundred: a failed control leaves a release without an answer.
        estimate = mean_over_builds(np.array(aucs), level=1 - _LEVEL / controls)
        estimate = dataclasses.replace(
            estimate,
            n=len(np.unique(self.units)),
            of_units=True,
            method=say("method.redraws", count=len(aucs), bias=f"{_reach(estimate):.2g}"),
        )
        return self.finding("null_auc", estimate, unit=AUC)

    def finding(
        self, suffix: str, estimate: Estimate, *, unit: str = "share", group: str = ""
    ) -> Finding:
        """A finding of this attack."""
        return self.maker.finding(
            f"{self.name}.{suffix}",
            estimate,
            threat=self.threat,
            unit=unit,
            group=group,
            attack_hash=self.config_hash,
        )


def judge_scores(
    name: str,
    scores: FloatArray,
    stack: BuildResults,
    maker: FindingContext,
    *,
    threat: ThreatModel,
    columns: IntArray | None = None,
    alphas: tuple[float, ...] = (0.01,),
    config_hash: str = "",
) -> list[Finding]:
    """AUC and TPR at low FPR over units, and the AUC under membership drawn anew.

    For attacks whose scores do not depend on who was a member of other builds.

    Args:
        name: Id of the findings, without the figure.
        scores: ``float64 [N, k]``, higher for members.
        stack: Memberships, units and seed.
        maker: Fills in what findings about the release share.
        threat: What the attacker sees.
        columns: ``int64 [k]``, the pool images the scores are about; all if None.
        alphas: False-positive rates.
        config_hash: Hash of the attack's settings.
    """
    columns = np.arange(stack.membership.shape[1]) if columns is None else columns
    judged = JudgedScores(
        name=name,
        maker=maker,
        scores=scores.astype(np.float64),
        members=stack.membership[:, columns],
        units=stack.units[columns],
        threat=threat,
        alphas=alphas,
        draws=stack.draws,
        seed=(stack.seed, "bootstrap", name),
        config_hash=config_hash,
    )
    found = judged.findings()
    if nulls := stack.nulls:
        aucs = [auc(judged.scores, null[:, columns]) for null in nulls]
        found.append(judged.null_control(aucs, controls=stack.controls))
    return found


def _reach(estimate: Estimate) -> float:
    """Half of an interval's width: what it would not have seen."""
    if estimate.low is None or estimate.high is None:
        return 0.0
    return (estimate.high - estimate.low) / 2
