"""From what was measured to findings: utility, membership, worst case, null control, costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sudare.accounting.claims import recomputed, wrong_claims
from sudare.accounting.curves import ceiling_of
from sudare.accounting.ledger import EXACT, GAUSSIAN, SEEDED, composed_epsilon
from sudare.attacks.membership.base import MembershipTest
from sudare.attacks.registry import make_test
from sudare.audits.config import RunConfig
from sudare.audits.labels import LabelledParts, Subject
from sudare.audits.maker import FindingMaker
from sudare.audits.measure import Measured
from sudare.audits.membership import JudgedTest
from sudare.audits.utility import utility_findings
from sudare.core.arrays import BoolArray, FloatArray, IntArray
from sudare.core.estimates import Estimate
from sudare.core.findings import Finding, Status
from sudare.core.progress import Progress
from sudare.core.scores import ScoreTable
from sudare.core.seeds import generator, integer_seed
from sudare.core.threats import ThreatModel
from sudare.data.plan import draw_plan, redeal
from sudare.metrics import accuracy_over_privacy, mean_over_builds, simultaneous
from sudare.releases.card import Card
from sudare.releases.registry import kind_class

NULL_DRAWS = 20
"""How often membership is redrawn for a null control."""

_DELTA = 1e-5
"""Of the epsilon that is seen, where a release claims none."""

__all__ = [
    "ReleaseAudit",
    "audit_release",
    "maker_of",
    "null_seed",
    "primary_for",
    "redrawn",
    "threat_of",
]


@dataclass(frozen=True, kw_only=True)
class ReleaseAudit:
    """Findings about one release, and the scores pictures and curves are drawn from.

    Attributes:
        findings: In a stable order.
        scores: Test id to scores ``[N, n]``.
        membership: ``bool [N, n]`` the scores were judged against.
        threats: Test id to what its attacker sees.
    """

    findings: tuple[Finding, ...]
    scores: dict[str, FloatArray]
    membership: BoolArray
    threats: dict[str, ThreatModel] = field(default_factory=dict)


def audit_release(
    measured: Measured,
    split: LabelledParts,
    route: Subject,
    card: Card,
    config: RunConfig,
    *,
    target: int | None = None,
    progress: Progress,
) -> ReleaseAudit:
    """Every finding about one release.

    With ``config.audit.null`` membership is redrawn with an independent seed and the scores
    are kept: every AUC must then be 0.5 within its interval.

    Args:
        measured: Signals, predictions and costs of every build.
        split: Labels of pool and test.
        route: How the release is made.
        card: Its card.
        config: The run.
        target: Row of one artefact the findings are about; None for every build in turn.
        progress: Where to report; one step for each test.
    """
    start = time.process_time()
    rows = np.arange(measured.table.n_builds) if target is None else np.array([target])
    maker = maker_of(route, card, measured, builds=len(rows))
    nulls = [redrawn(measured.table, null_seed(config, draw), target) for draw in range(NULL_DRAWS)]
    table = nulls[0] if config.audit.null else measured.table
    findings = utility_findings(maker, measured, split, rows)
    scores: dict[str, FloatArray] = {}
    threats: dict[str, ThreatModel] = {}
    tests = [make_test(n, config.attacks.settings.get(n, {})) for n in config.attacks.membership]
    # Attacks on the same images were given the same draws of units.
    deviations: dict[str, FloatArray] = {}
    with progress.stage(f"attacks on {route.label}", len(tests)) as bar:
        for name, test in zip(config.attacks.membership, tests, strict=True):
            its = measured.table_for(test.signal, table)
            sees = threat_of(test, card.kind)
            reason = test.attackable(its)
            if reason:
                findings.append(_not_run(maker, test, its, sees, reason))
                bar.advance()
                continue
            found = test.scores(its)[rows]
            if its is table:
                scores[test.id], threats[test.id] = found, sees
            judged = JudgedTest(
                maker=maker,
                test=test,
                scores=found,
                members=its.membership[rows],
                units=its.units,
                threat=sees,
                config=config,
            )
            findings += judged.findings()
            if its is table:
                deviations[f"{test.id}.auc"] = judged.estimates.deviations
            if name == config.attacks.primary:
                findings += _of_the_primary(judged, measured, split, card, rows)
            if name in (config.attacks.primary, primary_for(config, card.kind)):
                findings += _of_the_exposed(judged, measured, table, target)
            if not config.audit.null:
                again = [measured.table_for(test.signal, null) for null in nulls[: test.null_draws]]
                controls = len(tests) * max(1, len(config.routes))
                findings.append(judged.null_control(again, rows, tests=controls))
            bar.advance()
    findings = _together(findings, deviations)
    if not config.audit.null:
        findings += _over_privacy(maker, findings, config.attacks.primary, card.kind)
    findings += _copies(maker, measured, table.membership, rows)
    findings += _costs(maker, measured, config, rows, time.process_time() - start)
    findings += _claim(maker, card)
    membership = table.membership[rows]
    return ReleaseAudit(
        findings=tuple(findings), scores=scores, membership=membership, threats=threats
    )


def _of_the_primary(
    judged: JudgedTest, measured: Measured, split: LabelledParts, card: Card, rows: IntArray
) -> list[Finding]:
    """What only the primary attack is asked: by class and group, epsilon, by origin."""
    found = judged.by_part(split.pool)
    if judged.config.audit.null:
        return found
    claimed = max((entry.delta for entry in card.ledger), default=0.0)
    found.append(judged.epsilon_seen(claimed or _DELTA))
    if measured.initial is not None:
        found += judged.by_origin(measured.initial[rows])
    return found


def _of_the_exposed(
    judged: JudgedTest, measured: Measured, table: ScoreTable, target: int | None
) -> list[Finding]:
    """Who is exposed, over many builds: of one artefact, over the shadows made as it was."""
    if target is None:
        return judged.who_is_exposed(table, measured.trace_spread)
    if not table.has_shadows:
        return []
    both = {target, int(table.complement[target])}
    shadows = np.array([build for build in range(table.n_builds) if build not in both])
    return judged.who_is_exposed(table.with_builds(shadows), None)


def _together(findings: list[Finding], deviations: dict[str, FloatArray]) -> list[Finding]:
    """AUCs of attacks with the same draws of units, with how much wider they hold at once."""
    wider = simultaneous(list(deviations.values()))
    return [
        finding.model_copy(update={"simultaneous": wider})
        if finding.id in deviations and not finding.group and finding.low is not None
        else finding
        for finding in findings
    ]


def _not_run(
    maker: FindingMaker, test: MembershipTest, table: ScoreTable, sees: ThreatModel, reason: str
) -> Finding:
    """Why an attack did not run: too few builds is no reason that it does not apply."""
    if table.has_shadows and table.n_builds < test.least_builds:
        few = Estimate.unresolvable(n=0, method="not run", reason=reason)
        return maker.finding(f"{test.id}.auc", few, threat=sees)
    return maker.not_applicable(f"{test.id}.auc", sees, reason)


_BEST_FIRST = ("boundary_calibrated", "boundary", "gap", "nearest_calibrated", "nearest")
"""Of attackers who see less than scores, the one to go by is the first of these that runs."""


def primary_for(config: RunConfig, kind: str) -> str:
    """The attack to go by on a kind of release, for the declared holder: fixed before any run."""
    chosen, seen = config.attacks.primary, config.threat.sees
    if not seen or chosen not in config.attacks.membership:
        return chosen
    possible = [
        name
        for name in config.attacks.membership
        if threat_of(make_test(name, config.attacks.settings.get(name, {})), kind) in seen
    ]
    if chosen in possible or not possible:
        return chosen
    return next((name for name in _BEST_FIRST if name in possible), possible[0])


def threat_of(test: MembershipTest, kind: str) -> ThreatModel:
    """What the attacker sees who runs a test on a kind of release."""
    whole = kind_class(kind).scores_as
    if test.sees is None or test.sees.value.partition("/")[0] != whole.value.partition("/")[0]:
        return whole
    return test.sees


def maker_of(
    route: Subject, card: Card, measured: Measured, *, builds: int | None = None
) -> FindingMaker:
    """What findings about a release share."""
    return FindingMaker(
        release=route.name,
        route=route.kind,
        builds=measured.table.n_builds if builds is None else builds,
        recipients=measured.recipients,
    )


def null_seed(config: RunConfig, draw: int) -> int:
    """The seed of one redraw: its own, so that runs of neighbouring seeds share none."""
    return integer_seed(config.seed, "null", draw)


def redrawn(table: ScoreTable, seed: int, target: int | None) -> ScoreTable:
    """The table under membership drawn with an independent seed; an artefact keeps its share."""
    if not table.has_shadows:
        return table.with_membership(
            redeal(table.membership, table.units, generator(seed, "null", "artefact"))
        )
    classes = table.labels[: table.n_images]
    # Under a name of its own: the seed of the run's plan would draw that plan again.
    own = integer_seed(seed, "redrawn")
    plan = draw_plan(table.units, classes, builds=table.n_builds, seed=own)
    membership = plan.membership.copy()
    if target is not None:
        drawn = redeal(
            table.membership[[target]], table.units, generator(seed, "null", "artefact")
        )[0]
        membership[target], membership[table.complement[target]] = drawn, ~drawn
    return table.with_membership(membership)


def _over_privacy(
    maker: FindingMaker, findings: Sequence[Finding], primary: str, kind: str
) -> list[Finding]:
    """Accuracy over privacy under the primary attack; as published, and with chance as floor."""
    whole = {finding.id: finding for finding in findings if not finding.group}
    accuracy, told = (whole.get(n) for n in ("utility.accuracy", f"membership.{primary}.auc"))
    if accuracy is None or told is None or told.status is Status.NOT_APPLICABLE:
        return []
    return [
        maker.finding(
            f"membership.{primary}.{name}",
            accuracy_over_privacy(accuracy.estimate(), told.estimate(), clamp=clamp),
            threat=told.threat_model,
        )
        for name, clamp in (("aop", True), ("aop_raw", False))
    ]


def _copies(
    maker: FindingMaker, measured: Measured, membership: BoolArray, rows: IntArray
) -> list[Finding]:
    """Members that are in the released set to the pixel, in any build: counted, not estimated."""
    if measured.copied is None:
        return []
    copied, members = measured.copied[rows], membership[rows]
    found = []
    for name, side in (("tpr", members), ("fpr", ~members)):
        share = float(((copied & side).sum(axis=1) / side.sum(axis=1)).mean())
        count = f"counted in {len(rows)} build{'s' * (len(rows) > 1)}, mean"
        estimate = Estimate(value=share, low=share, high=share, n=0, method=count)
        found.append(
            maker.finding(f"membership.copies.{name}", estimate, threat=ThreatModel.SAMPLES_SET)
        )
    return found


def _costs(
    maker: FindingMaker,
    measured: Measured,
    config: RunConfig,
    rows: IntArray,
    audit_cpu_s: float,
) -> list[Finding]:
    # A cost that was not measured on every row (an artefact was built elsewhere) is left out.
    whole = measured.table.n_builds
    costs = {
        name: np.array(values)[rows]
        for name, values in measured.costs.items()
        if len(values) == whole
    }
    named = []
    if "storage_mb" in costs:
        named += [
            (f"cost.{what}_mb", costs["storage_mb"], "MB") for what in ("storage", "transfer")
        ]
    if "cpu_s" in costs:
        named.append(("cost.build_cpu_s", costs["cpu_s"], "s"))
    if "recipient_train_s" in costs:
        named.append(("cost.recipient_train_s", costs["recipient_train_s"], "s"))
    if config.prices.cpu_hour is not None and "cpu_s" in costs:
        price = costs["cpu_s"] / 3600 * config.prices.cpu_hour
        named.append(("cost.build_price", price, config.prices.currency))
    findings = [
        maker.finding(name, mean_over_builds(values, bounds=(0.0, np.inf)), unit=unit)
        for name, values, unit in named
    ]
    spent = audit_cpu_s + float(costs.get("measure_cpu_s", np.zeros(1)).sum())
    once = Estimate(value=spent, low=None, high=None, n=0, method="measured once")
    return [*findings, maker.finding("cost.audit_cpu_s", once, unit="s")]


def _claim(maker: FindingMaker, card: Card) -> list[Finding]:
    # A ledger may pay for a part only (the ranges of a decoder): that guarantees nothing.
    if not card.ledger or not card.guarantee:
        return []
    if any(entry.mechanism in (EXACT, SEEDED) for entry in card.ledger):
        # No number follows from it; the claim stays unmeasured, and what is so has not passed.
        return []
    wrong = wrong_claims(card.ledger, card.guarantee)
    ledger = [recomputed(entry) for entry in card.ledger] if wrong else list(card.ledger)
    composed = [entry.delta for entry in ledger if entry.mechanism in GAUSSIAN]
    delta = sum(entry.delta for entry in ledger if entry.mechanism not in GAUSSIAN)
    delta += max(composed, default=0.0)
    epsilon = ledger[0].epsilon
    said = "recomputed, for the card claims less," if wrong else "claimed"
    method = f"{said} at delta {delta:g}, {ledger[0].accountant}"
    if len(ledger) > 1:
        epsilon = composed_epsilon(ledger, delta=max(composed, default=delta))
        how = "composed" if len(composed) == len(ledger) else "basic composition"
        method += f", {how} of {len(ledger)} mechanisms"
    estimate = Estimate(value=epsilon, low=epsilon, high=epsilon, n=0, method=method)
    kind = kind_class(card.kind)
    threat = kind.held_as or kind.scores_as
    ceiling = ceiling_of(card.ledger)
    known = [("privacy.epsilon", estimate, "epsilon")]
    if wrong:
        left_out = max(0.0, epsilon - min(entry.epsilon for entry in card.ledger))
        gap = Estimate(value=left_out, low=left_out, high=left_out, n=0, method="; ".join(wrong))
        known.append(("privacy.left_out", gap, "epsilon"))
    for name, value, how, unit in (
        ("mu", ceiling.mu, "Gaussian mechanism above the accountant's curve", "mu"),
        ("auc_ceiling", ceiling.auc, "area under the trade-off curve of the claim", "AUC"),
    ):
        # A pure guarantee of another mechanism has no mu.
        if np.isfinite(value):
            exactly = Estimate(value=value, low=value, high=value, n=0, method=how)
            known.append((f"privacy.{name}", exactly, unit))
    return [maker.finding(name, one, threat=threat, unit=unit) for name, one, unit in known]
