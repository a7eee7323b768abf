"""Membership inference: signals once a build, then every test, its worst case and its control."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.registry import SIGNALS, make_test
from sudare.audits.checks.base import BuildResults, Check, CheckInput, Judgement, Measurement
from sudare.audits.checks.built_in import MembershipCheckConfig
from sudare.audits.checks.judge import AUC, JudgedScores
from sudare.audits.checks.signal_tables import COLUMNS, SignalTables
from sudare.audits.finding_context import FindingContext
from sudare.core.arrays import IntArray
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding, Status
from sudare.core.scores import ScoreTable
from sudare.core.seeds import generator
from sudare.core.threats import ThreatModel
from sudare.core.wording import say
from sudare.data.images import concatenate
from sudare.metrics import (
    accuracy_over_privacy,
    auc,
    membership_estimates,
    simultaneous,
)
from sudare.metrics.epsilon import epsilon_from_counts, epsilon_from_threshold
from sudare.metrics.exposure import (
    exposed_images,
    exposed_units,
    exposure_stability,
    worst_case,
)
from sudare.releases.kinds import CachedLogits, LabelsView, LogitsView, SetView
from sudare.releases.registry import kind_class

if TYPE_CHECKING:
    from sudare.attacks.signals import Signal
    from sudare.audits.config import RunConfig

_EXPOSED_ALPHA = 0.01
_DELTA = 1e-5
"""Of the epsilon that is seen, where a release claims none."""


class MembershipCheck(Check[MembershipCheckConfig]):
    """Who was a member, told from what an attacker sees, with every other build as a shadow."""

    def measure(self, tested: CheckInput) -> Measurement:
        """Every registered signal that the release shows, on pool and population."""
        start = time.process_time()
        scored = concatenate([tested.pool, tested.population])
        # All signals ask about the same images: one pass of the nets serves them.
        asked = CachedLogits(tested.nets, tested.device)
        columns = self._expensive_columns(tested.pool.unit)
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name in SIGNALS:
            signal = self._signal(name)
            view = _shown(signal, tested, asked)
            if view is None or (signal.expensive and not len(columns)):
                continue
            rows = columns if signal.expensive else slice(None)
            arrays[name] = signal.measure(
                view, scored.images[rows], scored.classes[rows], seed=tested.models_seed
            )
            if signal.expensive:
                arrays[COLUMNS + name] = columns
        arrays["cpu_s"] = np.array(time.process_time() - start)
        return Measurement(arrays=arrays)

    def _signal(self, name: str) -> Signal[Any]:
        kind = cast("type[Signal[Any]]", SIGNALS.load(name))
        return kind.asking(queries=self.config.queries, budget=self.config.boundary_queries)

    def _expensive_columns(self, units: IntArray) -> IntArray:
        """Which pool images expensive signals are measured on: one of each unit, ever the same."""
        first = np.unique(units, return_index=True)[1]
        drawn = generator(0, "boundary columns").permutation(first)[: self.config.boundary_images]
        return np.sort(drawn).astype(np.int64)

    def judge(self, stack: BuildResults, maker: FindingContext) -> Judgement:
        """Every configured test: how well it tells members, whom it finds, its null control.

        In a run that is a null control itself membership was drawn anew and the scores are kept:
        every AUC must then be 0.5 within its interval.
        """
        config, kind = stack.config, stack.card.kind
        tables = SignalTables.of(stack)
        judged: dict[str, JudgedTest] = {}
        findings: list[Finding] = []
        for name, test in tests_of(config).items():
            stack.step()
            table, sees = tables.of_signal(test.signal), threat_of(test, kind)
            if reason := test.attackable(table):
                findings.append(_not_run(maker, test, table, sees, reason))
                continue
            one = JudgedTest.of(test, tables, stack, maker)
            findings += one.scores.findings(prior=config.audit.prior)
            if not tables.is_partial(test.signal):
                judged[test.id] = one
            if name == config.attacks.primary:
                findings += one.of_the_primary(stack)
            if name in (config.attacks.primary, primary_for(config, kind)):
                findings += one.of_the_exposed(tables)
            if not config.audit.null:
                findings.append(one.null_control(tables, stack))
        findings = _together(findings, judged)
        if not config.audit.null:
            findings += _over_privacy(maker, findings, stack)
        return Judgement(
            findings=findings,
            scores={name: one.scores.scores for name, one in judged.items()},
            threats={name: one.scores.threat for name, one in judged.items()},
        )


def tests_of(config: RunConfig) -> dict[str, MembershipTest]:
    """The configured tests by name."""
    attacks = config.attacks
    return {name: make_test(name, attacks.settings.get(name, {})) for name in attacks.membership}


def judge_test(
    test: MembershipTest,
    table: ScoreTable,
    stack: BuildResults,
    maker: FindingContext,
    *,
    name: str = "",
) -> JudgedScores:
    """A test's scores on a table, ready to be judged.

    Args:
        test: The test.
        table: What it works on.
        stack: Who is judged, and how.
        maker: Fills in what findings about the release share.
        name: What findings are called, if not by the test's id.
    """
    rows = stack.trial.rows
    return JudgedScores(
        name=name or test.id,
        maker=maker,
        scores=test.scores(table)[rows],
        members=table.membership[rows],
        units=table.units,
        threat=threat_of(test, stack.card.kind),
        alphas=stack.config.audit.alphas,
        draws=stack.draws,
        # The same draws of units for every attack, so that their largest deviation is known.
        seed=(stack.config.seed, "bootstrap", maker.release),
        config_hash=test.config_hash,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedTest:
    """A membership test on a release, and its scores.

    Attributes:
        test: The test.
        scores: Its scores, judged.
        config: The run.
        partial: Whether it looked at some images only.
    """

    test: MembershipTest
    scores: JudgedScores
    config: RunConfig
    partial: bool

    @classmethod
    def of(
        cls, test: MembershipTest, tables: SignalTables, stack: BuildResults, maker: FindingContext
    ) -> JudgedTest:
        """Run the test."""
        return cls(
            test=test,
            scores=judge_test(test, tables.of_signal(test.signal), stack, maker),
            config=stack.config,
            partial=tables.is_partial(test.signal),
        )

    def of_the_primary(self, stack: BuildResults) -> list[Finding]:
        """What only the primary attack is asked: by class and group, and the epsilon seen."""
        pool = stack.labels.pool
        found = self._by_part(pool.classes, pool.class_names)
        if pool.groups is not None:
            found += self._by_part(pool.groups, tuple(group_name(n) for n in pool.group_names))
        if not self.config.audit.null:
            claimed = max((entry.delta for entry in stack.card.ledger), default=0.0)
            found.append(self._epsilon_seen(claimed or _DELTA))
        return found

    def of_the_exposed(self, tables: SignalTables) -> list[Finding]:
        """Who is exposed, over many builds: of one artefact, over the shadows made as it was."""
        table, trial = tables.whole, tables.trial
        if trial.target is not None:
            if not trial.has_shadows:
                return []
            both = {trial.target, int(trial.complement[trial.target])}
            table = table.with_builds(
                np.array([build for build in range(table.n_builds) if build not in both])
            )
        share = self.config.audit.worst_share
        worst = worst_case(
            self.test.scores,
            table,
            rng=self._generator("worst case"),
            share=share,
            draws=self.config.audit.draws // 2,
        )
        # How many these are is a part of the figure: of a small pool they are more than the share.
        part = exposed_units(len(np.unique(self.scores.units)), share=share)
        exposed = exposed_images(
            self.test.scores, table, rng=self._generator("exposed"), alpha=_EXPOSED_ALPHA
        )
        stability = exposure_stability(self.test.scores, table, rng=self._generator("stability"))
        finding = self.scores.finding
        return [
            finding("worst_case", worst, unit=AUC).model_copy(update={"part_units": part}),
            finding("exposed_10x", exposed),
            finding("exposure_stability", stability, unit="rank correlation"),
        ]

    def null_control(self, tables: SignalTables, stack: BuildResults) -> Finding:
        """The test on membership drawn anew, with shadows that are drawn anew too."""
        rows, aucs = stack.trial.rows, []
        for membership in stack.trial.nulls[: self.test.null_draws]:
            null = tables.under(membership).of_signal(self.test.signal)
            aucs.append(auc(self.test.scores(null)[rows], null.membership[rows]))
        return self.scores.null_control(aucs, controls=stack.controls)

    def _epsilon_seen(self, delta: float) -> Finding:
        """What the rates would rule out as an epsilon, were each score a run of its own.

        Scores of one build share a model, so this bounds no mechanism: a *point-resampled*
        epsilon. It stands beside the claimed one to show how much of it attacks reach.
        """
        scores, members = self.scores.scores.ravel(), self.scores.members.ravel()
        found = epsilon_from_threshold(scores, members, delta=delta)
        inside, outside = int(members.sum()), int((~members).sum())
        ceiling = epsilon_from_counts(inside, inside, 0, outside, delta=delta)
        estimate = dataclasses.replace(
            found,
            high=None,
            low=None,
            n=len(np.unique(self.scores.units)),
            of_units=True,
            method=say(
                "method.point_resampled",
                method=found.method,
                delta=f"{delta:g}",
                ceiling=f"{ceiling:.2g}",
            ),
        )
        return self.scores.finding("epsilon_seen", estimate, unit="epsilon")

    def _by_part(self, part: IntArray, names: tuple[str, ...]) -> list[Finding]:
        """AUC of each part of the pool that has members and others."""
        found, scores = [], self.scores
        for value in np.unique(part):
            columns: IntArray = np.flatnonzero(part == value)
            name, members = names[int(value)], scores.members[:, columns]
            if members.all() or not members.any():
                continue
            estimates = membership_estimates(
                scores.scores[:, columns],
                members,
                scores.units[columns],
                rng=self._generator("bootstrap", name),
                alphas=(),
                draws=scores.draws,
            )
            found.append(scores.finding("auc", estimates.auc, unit=AUC, group=name))
        return found

    def _generator(self, *purpose: str) -> np.random.Generator:
        release = self.scores.maker.release
        return generator(self.config.seed, *purpose, release, self.scores.name)


def _shown(
    signal: Signal[Any], tested: CheckInput, asked: CachedLogits
) -> LabelsView | LogitsView | SetView | None:
    """What a signal is measured on; None where the release does not show it."""
    release = tested.release
    if signal.view is LogitsView:
        return asked
    threat = release.set_as if signal.view is SetView else ThreatModel.CLASSIFIER_LABELS
    if threat is None or threat not in release.views:
        return None
    view = release.expose(threat, device=tested.device)
    return view if isinstance(view, LabelsView | SetView) else None


def _together(findings: Sequence[Finding], judged: Mapping[str, JudgedTest]) -> list[Finding]:
    """AUCs of attacks with the same draws of units, with how much wider they hold at once."""
    deviations = {f"{n}.auc": one.scores.estimates.deviations for n, one in judged.items()}
    wider = simultaneous(list(deviations.values()))
    return [
        finding.model_copy(update={"simultaneous": wider})
        if finding.id in deviations and not finding.group and finding.low is not None
        else finding
        for finding in findings
    ]


def _not_run(
    maker: FindingContext, test: MembershipTest, table: ScoreTable, sees: ThreatModel, reason: str
) -> Finding:
    """Why an attack did not run: too few builds is no reason that it does not apply."""
    if table.has_shadows and table.n_builds < test.least_builds:
        few = Estimate.unresolvable(n=0, method=say("method.not_run"), reason=reason)
        return maker.finding(f"{test.id}.auc", few, threat=sees)
    return maker.not_applicable(f"{test.id}.auc", sees, reason)


def _over_privacy(
    maker: FindingContext, findings: Sequence[Finding], stack: BuildResults
) -> list[Finding]:
    """Accuracy over privacy under the primary attack; as published, and with chance as floor."""
    primary = f"membership.{stack.config.attacks.primary}"
    useful = stack.judged["utility"].findings if "utility" in stack.judged else ()
    whole = {finding.id: finding for finding in (*useful, *findings) if not finding.group}
    accuracy, told = whole.get("utility.accuracy"), whole.get(f"{primary}.auc")
    if accuracy is None or told is None or told.status is Status.NOT_APPLICABLE:
        return []
    return [
        maker.finding(
            f"{primary}.{name}",
            accuracy_over_privacy(accuracy.estimate(), told.estimate(), clamp=clamp),
            threat=told.threat_model,
        )
        for name, clamp in (("aop", True), ("aop_raw", False))
    ]


_BEST_FIRST = ("boundary_calibrated", "boundary", "gap", "nearest_calibrated", "nearest")
"""Of attackers who see less than scores, the one to go by is the first of these that runs."""


def primary_for(config: RunConfig, kind: str) -> str:
    """The attack to go by on a kind of release, for the declared holder: fixed before any run."""
    chosen, seen = config.attacks.primary, config.threat.sees
    if not seen or chosen not in config.attacks.membership:
        return chosen
    possible = [name for name, test in tests_of(config).items() if threat_of(test, kind) in seen]
    if chosen in possible or not possible:
        return chosen
    return next((name for name in _BEST_FIRST if name in possible), possible[0])


def threat_of(test: MembershipTest, kind: str) -> ThreatModel:
    """What the attacker sees who runs a test on a kind of release."""
    whole = kind_class(kind).scores_as
    if test.sees is None or test.sees.value.partition("/")[0] != whole.value.partition("/")[0]:
        return whole
    return test.sees


def group_name(name: str) -> str:
    """What findings about a group are called, apart from those about a class of that name."""
    return f"group {name}"
