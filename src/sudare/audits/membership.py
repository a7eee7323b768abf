"""One membership test on one release: how well it tells members, whom it finds, and its control."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.membership.exposure import (
    exposed_images,
    exposed_units,
    exposure_stability,
    trace_precision,
    worst_case,
)
from sudare.audits.config import RunConfig
from sudare.audits.labels import Labelled
from sudare.audits.maker import FindingMaker
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding
from sudare.core.scores import ScoreTable
from sudare.core.seeds import generator
from sudare.core.threats import ThreatModel
from sudare.metrics import (
    AttackEstimates,
    auc,
    mean_over_builds,
    membership_estimates,
    precision_at_prior,
)
from sudare.metrics.epsilon import epsilon_from_counts, epsilon_from_threshold

__all__ = ["JudgedTest", "group_name"]

_AUC = "AUC"
_EXPOSED_ALPHA = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedTest:
    """A test's scores on a release, and what they are judged against.

    Attributes:
        maker: Fills in what findings about the release share.
        test: The test.
        scores: ``float64 [targets, n]``.
        members: ``bool [targets, n]``.
        units: ``int64 [n]``.
        threat: What the attacker sees.
        config: The run.
        prefix: What findings are called, if not by the test's id.
    """

    maker: FindingMaker
    test: MembershipTest
    scores: FloatArray
    members: BoolArray
    units: IntArray
    threat: ThreatModel
    config: RunConfig
    prefix: str = ""

    @cached_property
    def estimates(self) -> AttackEstimates:
        """How well the scores tell members, with intervals over units."""
        return self._estimates(self.scores, self.members, alphas=self.config.audit.alphas)

    def findings(self) -> list[Finding]:
        """AUC, TPR at low FPR, precision where members are rare, balanced accuracy."""
        estimates = self.estimates
        prior = self.config.audit.prior
        found = [self._finding("auc", estimates.auc, unit=_AUC)]
        found += [self._finding(f"tpr@{a:g}", estimate) for a, estimate in estimates.tpr_at.items()]
        found += [
            self._finding(f"precision@{a:g}", precision_at_prior(estimate, alpha=a, prior=prior))
            for a, estimate in estimates.tpr_at.items()
        ]
        found.append(self._finding("balanced_accuracy", estimates.balanced_accuracy))
        return found

    def epsilon_seen(self, delta: float) -> Finding:
        """What the rates would rule out as an epsilon, were each score a run of its own.

        Scores of one build share a model, so this bounds no mechanism: a *point-resampled*
        epsilon. It stands beside the claimed one to show how much of it attacks reach.

        Args:
            delta: The delta of the claim.
        """
        scores, members = self.scores.ravel(), self.members.ravel()
        found = epsilon_from_threshold(scores, members, delta=delta)
        inside, outside = int(members.sum()), int((~members).sum())
        ceiling = epsilon_from_counts(inside, inside, 0, outside, delta=delta)
        estimate = dataclasses.replace(
            found,
            high=None,
            low=None,
            n=len(np.unique(self.units)),
            of_units=True,
            method=f"{found.method} at delta {delta:g}; point-resampled, no bound on the "
            f"mechanism; perfect guesses would give {ceiling:.2g}",
        )
        return self._finding("epsilon_seen", estimate, unit="epsilon")

    def by_part(self, pool: Labelled) -> list[Finding]:
        """AUC per class, and per group where there are groups."""
        found = self._per_part(pool.classes, pool.class_names)
        if pool.groups is not None:
            names = tuple(group_name(name) for name in pool.group_names)
            found += self._per_part(pool.groups, names)
        return found

    def by_origin(self, initial: BoolArray) -> list[Finding]:
        """AUC of members that a learned set started from, and of the other members.

        Args:
            initial: ``bool [targets, n]``, members that learned images started from.
        """
        found = []
        for name, side in (("init_auc", initial), ("other_auc", self.members & ~initial)):
            each = [
                auc(scores[None, kept], own[None, kept])
                for scores, own, others in zip(self.scores, side, ~self.members, strict=True)
                if own.any() and (kept := own | others).any()
            ]
            if not each:
                continue
            estimate = mean_over_builds(np.array(each), bounds=(0.0, 1.0))
            found.append(self._finding(name, estimate, unit=_AUC))
        return found

    def who_is_exposed(self, table: ScoreTable, trace_spread: FloatArray | None) -> list[Finding]:
        """The most exposed images, over many builds.

        Args:
            table: Every build, each a target.
            trace_spread: ``[N, n]``, how much each training image's loss varied, or None.
        """
        worst = worst_case(
            self.test,
            table,
            rng=self._generator("worst case"),
            share=self.config.audit.worst_share,
            draws=self.config.audit.draws // 2,
        )
        # How many these are is a part of the figure: of a small pool they are more than the share.
        part = exposed_units(len(np.unique(self.units)), share=self.config.audit.worst_share)
        about = {"part_units": part}
        found = [self._finding("worst_case", worst, unit=_AUC).model_copy(update=about)]
        exposed = exposed_images(
            self.test, table, rng=self._generator("exposed"), alpha=_EXPOSED_ALPHA
        )
        found.append(self._finding("exposed_10x", exposed))
        stability = exposure_stability(self.test, table, rng=self._generator("stability"))
        found.append(self._finding("exposure_stability", stability, unit="rank correlation"))
        if trace_spread is not None:
            precision = trace_precision(
                self.test,
                table,
                trace_spread,
                rng=self._generator("trace"),
                share=self.config.audit.worst_share,
            )
            found.append(self._finding("trace_precision", precision))
        return found

    def null_control(self, nulls: list[ScoreTable], rows: IntArray, *, tests: int) -> Finding:
        """The test on memberships redrawn several times, where its AUC must be one half.

        The interval is over the redraws, which are independent given the scores: no
        assumption about the test or the scores enters.

        Args:
            nulls: The scores under redrawn memberships.
            rows: Builds the findings are about.
            tests: Controls of the whole run, among which the error is shared.
        """
        aucs = [auc(self.test.scores(null)[rows], null.membership[rows]) for null in nulls]
        # One run in a hundred: a failed control leaves a release without an answer.
        estimate = mean_over_builds(np.array(aucs), level=1 - 0.01 / tests)
        estimate = dataclasses.replace(
            estimate,
            n=len(np.unique(self.units)),
            of_units=True,
            method=f"mean over {len(nulls)} redraws, t; sees a bias of {_reach(estimate):.2g} "
            "or more",
        )
        return self._finding("null_auc", estimate, unit=_AUC)

    def _per_part(self, part: IntArray, names: tuple[str, ...]) -> list[Finding]:
        found = []
        for value in np.unique(part):
            columns: IntArray = np.flatnonzero(part == value)
            name, members = names[int(value)], self.members[:, columns]
            if members.all() or not members.any():
                continue
            estimates = membership_estimates(
                self.scores[:, columns],
                members,
                self.units[columns],
                rng=self._generator("bootstrap", name),
                alphas=(),
                draws=self.config.audit.draws,
            )
            found.append(self._finding("auc", estimates.auc, unit=_AUC, group=name))
        return found

    def _estimates(
        self,
        scores: FloatArray,
        members: BoolArray,
        *,
        alphas: tuple[float, ...],
        level: float = 0.95,
    ) -> AttackEstimates:
        return membership_estimates(
            scores,
            members,
            self.units,
            # The same draws of units for every attack, so that their largest deviation is known.
            rng=generator(self.config.seed, "bootstrap", self.maker.release),
            alphas=alphas,
            draws=self.config.audit.draws,
            level=level,
        )

    def _generator(self, *purpose: str) -> np.random.Generator:
        name = self.prefix or self.test.id
        return generator(self.config.seed, *purpose, self.maker.release, name)

    def _finding(
        self, suffix: str, estimate: Estimate, *, unit: str = "share", group: str = ""
    ) -> Finding:
        return self.maker.finding(
            f"{self.prefix or self.test.id}.{suffix}",
            estimate,
            threat=self.threat,
            unit=unit,
            group=group,
            attack_hash=self.test.config_hash,
        )


def group_name(name: str) -> str:
    """What findings about a group are called, apart from those about a class of that name."""
    return f"group {name}"


def _reach(estimate: Estimate) -> float:
    """Half of an interval's width: what it would not have seen."""
    if estimate.low is None or estimate.high is None:
        return 0.0
    return (estimate.high - estimate.low) / 2
